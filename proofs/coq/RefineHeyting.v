(* Law: groups, conditions, the modal operators and the bridge are the model's, operation by
   operation; and so is a chain of any length. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Require Import Model Packing Words Packed RefineAuthority.
Import ListNotations.
Open Scope Z_scope.

(* 1. Groups. *)
Theorem the_groups_are_the_groups_by_name :
  lattice.READS = mask reads /\ lattice.WRITES = mask writes /\ lattice.EXECUTION = mask execution /\
  lattice.NETWORK = mask network /\ lattice.GIT = mask git /\ lattice.INFRA = mask infra.
Proof. repeat split; reflexivity. Qed.

Lemma land_mask a g : Z.land (caps a) (mask g) = caps (project a g).
Proof. unfold mask, caps; word; each. Qed.

Theorem projecting_keeps_the_group_and_nothing_else a g :
  heyting.project (caps a) (mask g) = caps (project a g).
Proof. apply land_mask. Qed.

Theorem injecting_overwrites_the_group_and_nothing_else a source g :
  heyting.inject (caps a) (caps source) (mask g) = caps (inject a source g).
Proof. unfold heyting.inject; rewrite land_mask; unfold mask, caps; word; each. Qed.

Theorem merging_joins_the_group_and_nothing_else a source g :
  heyting.merge_from (caps a) (caps source) (mask g) = caps (merge_from a source g).
Proof. unfold heyting.merge_from; rewrite land_mask; unfold caps; word; each. Qed.

Theorem the_lockdown_keeps_reading_and_the_web a : heyting.read_only (caps a) = caps (read_only a).
Proof.
  unfold heyting.read_only; replace heyting.READ_ONLY with
    (caps (fun o => if reads o || network o then Always else Never)) by reflexivity.
  apply land_caps.
Qed.

(* 2. Entailment and conditions. *)
Theorem the_gap_is_the_arrow a b : heyting.permission_gap (caps a) (caps b) = caps (implies a b).
Proof. apply arrow_caps. Qed.

Lemma caps_same a b : (caps a =? caps b) = everywhere (fun o => within (a o) (b o) && within (b o) (a o)).
Proof.
  apply eq_true_iff_eq; rewrite Z.eqb_eq; unfold everywhere; rewrite forallb_forall; split; intros H.
  - intros o _; rewrite <- (what_is_written_of_a_capability_is_read_again a o), H,
      (what_is_written_of_a_capability_is_read_again b o); destruct (b o); reflexivity.
  - assert (E : forall o, a o = b o).
    { intros o; specialize (H o ltac:(destruct o; cbn; tauto)).
      destruct (a o), (b o); auto; discriminate. }
    unfold caps, operations; cbn [flat_map app]; now rewrite !E.
Qed.

Theorem entailment_is_being_within a b : heyting.entails (caps a) (caps b) = entails a b.
Proof.
  unfold heyting.entails, entails, leq; rewrite arrow_caps.
  replace lattice.TOP with (caps top) by reflexivity; rewrite caps_same; unfold everywhere, operations.
  cbn [forallb]; repeat (f_equal; [unfold implies, top; destruct (a _), (b _); reflexivity|]).
  unfold implies, top; destruct (a SpawnAgent), (b SpawnAgent); reflexivity.
Qed.

Theorem a_condition_is_the_arrow a b : heyting.condition (caps a) (caps b) = caps (implies a b).
Proof. apply arrow_caps. Qed.

Theorem a_condition_holds_as_the_model_says p a b :
  heyting.condition_satisfied (caps p) (caps a) (caps b) = condition_satisfied p a b.
Proof. unfold heyting.condition_satisfied; rewrite arrow_caps; apply leq_caps. Qed.

Theorem a_condition_gives_what_the_model_says p a b :
  heyting.condition_apply (caps p) (caps a) (caps b) = caps (condition_apply p a b).
Proof.
  unfold heyting.condition_apply, condition_apply; rewrite leq_is_within_in_every_operation.
  destruct (leq a p); [apply land_caps|reflexivity].
Qed.

(* 3. Modal operators, permissions. *)
(* One operation at a time, simplified before the next: the terms stay small. *)
Ltac step_of_word := first
  [ rewrite land_bits | rewrite (shiftl_bits 8) | rewrite (shiftl_bits 4) | rewrite (shiftl_bits 2)
  | rewrite (shiftl_bits 1) | rewrite land_digits | rewrite lor_bits | idtac ]; lists; constants; lists.

Lemma spread_caps s : heyting.spread (ops s) = caps (spread s).
Proof.
  unfold heyting.spread, ops; cbv zeta; change lattice.OPS with (bits (repeat true 13)).
  do 18 (step_of_word; plain); each.
Qed.

Theorem spreading_gives_always_to_every_operation_of_the_set s :
  heyting.spread (ops s) = caps (spread s).
Proof. apply spread_caps. Qed.

Theorem the_box_is_what_is_granted_without_asking a s :
  heyting.box (caps a) (ops s) = caps (box a s).
Proof. unfold heyting.box; rewrite spread_caps; unfold caps; word; each. Qed.

Theorem the_diamond_is_what_could_be_reached a b :
  heyting.diamond (caps a) (caps b) = caps (diamond a b).
Proof. apply lor_caps. Qed.

Theorem escalation_is_needed_as_the_model_says a b :
  heyting.requires_escalation (caps a) (caps b) = requires_escalation a b.
Proof. unfold heyting.requires_escalation; now rewrite leq_caps. Qed.

Theorem permissions_are_ordered_as_the_model_says a s b t :
  heyting.perm_leq (caps a) (ops s) (caps b) (ops t) = perm_leq a s b t.
Proof.
  unfold heyting.perm_leq, perm_leq; rewrite leq_caps; f_equal; unfold ops.
  rewrite less_bits_are, bits_zero; unfold everywhere; cbn [forallb operations]; lists.
  repeat (apply none_cons; [destruct (s _), (t _); reflexivity|]); reflexivity.
Qed.

(* 4. The bridge. *)
Theorem alpha_is_the_meet_with_the_boundary a k : heyting.alpha (caps a) (caps k) = caps (alpha a k).
Proof. apply land_caps. Qed.

Theorem gamma_is_the_arrow_from_the_boundary a k : heyting.gamma (caps a) (caps k) = caps (gamma a k).
Proof. apply arrow_caps. Qed.

Theorem the_closure_is_the_models a k : heyting.closure (caps a) (caps k) = caps (closure a k).
Proof. unfold heyting.closure; rewrite land_caps; apply arrow_caps. Qed.

Theorem the_kernel_operator_is_the_models a k : heyting.kernel (caps a) (caps k) = caps (kernel a k).
Proof. unfold heyting.kernel; rewrite arrow_caps; apply land_caps. Qed.

(* 5. Chains and sessions of any length. *)
Theorem a_chain_of_any_length_is_the_models root caveats :
  heyting.chain_caps (caps root) (map caps caveats) = caps (chain root caveats).
Proof.
  exact (fold_written caps meet Z.land land_caps caveats root).
Qed.

Theorem a_sessions_authority_is_the_models start caveats :
  session.session_caps (caps start) (map caps caveats) = caps (chain start caveats).
Proof. exact (fold_written caps meet Z.land land_caps caveats start). Qed.

Theorem the_obligations_of_a_chain_are_the_models root added :
  heyting.chain_obligations (ops root) (map ops added) = ops (owed_after root added).
Proof.
  exact (fold_written ops union Z.lor lor_ops added root).
Qed.

Theorem the_obligations_of_a_session_are_the_models start added :
  session.session_obligations (ops start) (map ops added) = ops (owed_after start added).
Proof. exact (fold_written ops union Z.lor lor_ops added start). Qed.

Theorem one_narrowing_is_a_meet a c : session.step_caps (caps a) (caps c) = caps (meet a c).
Proof. apply land_caps. Qed.

Theorem one_more_obligation_is_a_union s t :
  session.step_obligations (ops s) (ops t) = ops (union s t).
Proof. apply lor_ops. Qed.
