(* Law: along a chain or a session of any length authority only falls, and what is owed, seen,
   tainted and spent only rises.

   Every theorem is about the functions of Generated.v, so about the kernel's own source. *)
From Coq Require Import ZArith List Bool Lia Permutation.
Require Import Generated Bits.
Import ListNotations.
Open Scope Z_scope.

(* 1. A fold that only goes down, and one that only goes up. *)
Section Folds.
  Lemma down_step c cs r : lattice.leq (fold_left Z.land cs (Z.land r c)) (fold_left Z.land cs r) = true.
  Proof.
    revert r c; induction cs as [|d cs IH]; intros r c; simpl; [apply leq_land_l|].
    replace (Z.land (Z.land r c) d) with (Z.land (Z.land r d) c); [apply IH|].
    now rewrite <- !Z.land_assoc, (Z.land_comm c d).
  Qed.

  Lemma down cs ds r :
    lattice.leq (fold_left Z.land (cs ++ ds) r) (fold_left Z.land cs r) = true.
  Proof.
    rewrite fold_left_app; generalize (fold_left Z.land cs r); clear.
    induction ds as [|d ds IH]; intros x; simpl; [apply leq_refl|].
    eapply leq_trans; [apply IH|apply leq_land_l].
  Qed.

  Lemma up cs ds r : lattice.leq (fold_left Z.lor cs r) (fold_left Z.lor (cs ++ ds) r) = true.
  Proof.
    rewrite fold_left_app; generalize (fold_left Z.lor cs r); clear.
    induction ds as [|d ds IH]; intros x; simpl; [apply leq_refl|].
    eapply leq_trans; [apply leq_lor_l|apply IH].
  Qed.

  Lemma below_all cs : forall r x, lattice.leq x (fold_left Z.land cs r) = true <->
    lattice.leq x r = true /\ Forall (fun c => lattice.leq x c = true) cs.
  Proof.
    induction cs as [|c cs IH]; intros r x; simpl; [intuition|].
    rewrite IH, leq_glb, Forall_cons_iff; tauto.
  Qed.

  Lemma above_all cs : forall r x, lattice.leq (fold_left Z.lor cs r) x = true <->
    lattice.leq r x = true /\ Forall (fun c => lattice.leq c x = true) cs.
  Proof.
    induction cs as [|c cs IH]; intros r x; simpl; [intuition|].
    rewrite IH, leq_lub, Forall_cons_iff; tauto.
  Qed.

  Lemma lor_out cs : forall r x, fold_left Z.lor cs (Z.lor r x) = Z.lor r (fold_left Z.lor cs x).
  Proof.
    induction cs as [|c cs IH]; intros r x; simpl; [reflexivity|].
    rewrite <- Z.lor_assoc; apply IH.
  Qed.
End Folds.

(* 2. Delegation: the ceiling. *)
Theorem no_delegation_escalates_at_any_depth root caveats more :
  lattice.leq (heyting.chain_caps root (caveats ++ more)) (heyting.chain_caps root caveats) = true.
Proof. apply down. Qed.

Theorem a_chain_is_within_its_root root caveats :
  lattice.leq (heyting.chain_caps root caveats) root = true.
Proof. apply (down [] caveats root). Qed.

Theorem a_chain_is_within_each_of_its_caveats root caveats c :
  In c caveats -> lattice.leq (heyting.chain_caps root caveats) c = true.
Proof.
  intros H; pose proof (proj1 (below_all caveats root _) (leq_refl _)) as [_ F].
  rewrite Forall_forall in F; auto.
Qed.

Theorem a_chain_grants_exactly_what_its_root_and_all_its_caveats_grant root caveats x :
  lattice.leq x (heyting.chain_caps root caveats) = true <->
  lattice.leq x root = true /\ Forall (fun c => lattice.leq x c = true) caveats.
Proof. apply below_all. Qed.

Theorem the_order_of_caveats_changes_nothing root caveats others :
  Permutation caveats others -> heyting.chain_caps root caveats = heyting.chain_caps root others.
Proof.
  intros P; apply leq_antisym; apply below_all; pose proof (below_all caveats root) as A;
    pose proof (below_all others root) as B.
  - destruct (proj1 (A _) (leq_refl _)) as [H K]; split; auto.
    rewrite Forall_forall in *; intros c I; apply K; eapply Permutation_in; [symmetry|]; eauto.
  - destruct (proj1 (B _) (leq_refl _)) as [H K]; split; auto.
    rewrite Forall_forall in *; intros c I; apply K; eapply Permutation_in; eauto.
Qed.

Lemma level_mono a b op :
  lattice.leq a b = true -> lattice.level_of a op <= lattice.level_of b op.
Proof.
  intros H; rewrite !level_bits; destruct (lattice.known op) eqn:K; [|lia].
  apply known_range in K; rewrite leq_bits in H.
  pose proof (H (op + op) ltac:(lia)); pose proof (H (op + op + 1) ltac:(lia)).
  destruct (Z.testbit a (op + op)), (Z.testbit a (op + op + 1)), (Z.testbit b (op + op)),
    (Z.testbit b (op + op + 1)); simpl; intuition (try discriminate; try lia).
Qed.

Theorem no_level_rises_down_a_chain_of_any_length root caveats more op :
  lattice.level_of (heyting.chain_caps root (caveats ++ more)) op <=
  lattice.level_of (heyting.chain_caps root caveats) op.
Proof. apply level_mono, down. Qed.

(* 3. Obligations. *)
Theorem an_obligation_once_owed_is_owed_down_the_whole_chain root added more op :
  lattice.obliged (heyting.chain_obligations root added) op = true ->
  lattice.obliged (heyting.chain_obligations root (added ++ more)) op = true.
Proof.
  rewrite !obliged_bits; destruct (lattice.known op) eqn:K; simpl; [|auto].
  apply known_range in K; intros H; apply (proj1 (leq_bits _ _) (up added more root) op); auto; lia.
Qed.

Theorem what_nu_adds_stays_owed_whatever_the_chain_narrows ceiling header added op :
  lattice.obliged (lattice.nu ceiling header) op = true ->
  lattice.obliged (heyting.chain_obligations (lattice.nu ceiling header) added) op = true.
Proof. apply (an_obligation_once_owed_is_owed_down_the_whole_chain _ [] added). Qed.

Theorem nu_is_idempotent caps obligations :
  lattice.nu caps (lattice.nu caps obligations) = lattice.nu caps obligations.
Proof.
  unfold lattice.nu; destruct (lattice.nu_fires caps); auto.
  now rewrite <- Z.lor_assoc, Z.lor_diag.
Qed.

Theorem nu_only_adds_obligations caps obligations :
  lattice.leq obligations (lattice.nu caps obligations) = true.
Proof. unfold lattice.nu; destruct (lattice.nu_fires caps); auto using leq_lor_l, leq_refl. Qed.

(* read_files and web_fetch at low_risk, and the same with git_push. *)
Theorem nu_is_not_monotone : exists a o b p,
  lattice.valid a = true /\ lattice.valid b = true /\ heyting.perm_leq a o b p = true /\
  heyting.perm_leq a (lattice.nu a o) b (lattice.nu b p) = false.
Proof. exists 16385, 0, 278529, 0; vm_compute; auto. Qed.

(* 4. Sessions. *)
Theorem authority_only_falls_over_a_session_of_any_length caps caveats more :
  lattice.leq (session.session_caps caps (caveats ++ more)) (session.session_caps caps caveats)
  = true.
Proof. apply down. Qed.

Theorem exposure_never_falls_over_a_session_of_any_length start steps more :
  exposure.leq (session.session_exposure start steps)
    (session.session_exposure start (steps ++ more)) = true.
Proof. apply up. Qed.

Theorem obligations_never_fall_over_a_session_of_any_length start steps more :
  lattice.leq (session.session_obligations start steps)
    (session.session_obligations start (steps ++ more)) = true.
Proof. apply up. Qed.

Theorem two_sessions_in_a_row_leave_the_union_of_both start first second :
  session.session_exposure start (first ++ second) =
  exposure.join (session.session_exposure start first)
    (session.session_exposure exposure.NOTHING second).
Proof.
  unfold session.session_exposure, exposure.join, exposure.NOTHING; cbv zeta.
  rewrite fold_left_app; unfold session.step_exposure.
  rewrite <- lor_out, Z.lor_0_r; reflexivity.
Qed.

Theorem once_uninhabitable_a_session_stays_uninhabitable start steps more :
  exposure.complete (session.session_exposure start steps) = true ->
  exposure.complete (session.session_exposure start (steps ++ more)) = true.
Proof.
  unfold exposure.complete; rewrite !Z.eqb_eq, !full_mask; intros H.
  eapply leq_trans; [exact H|apply up].
Qed.

(* 5. Labels. *)
Theorem a_value_is_never_cleaner_than_any_value_it_was_made_from intrinsic parents p :
  p = intrinsic \/ In p parents -> labels.flows_to p (labelling.propagate intrinsic parents) = true.
Proof.
  intros H; destruct (proj1 (above_all parents intrinsic _) (leq_refl _)) as [A B].
  rewrite Forall_forall in B; destruct H as [->|H]; [exact A|apply (B _ H)].
Qed.

Theorem a_value_may_go_exactly_where_all_it_was_made_from_may intrinsic parents where_to :
  labels.flows_to (labelling.propagate intrinsic parents) where_to = true <->
  labels.flows_to intrinsic where_to = true /\
  Forall (fun p => labels.flows_to p where_to = true) parents.
Proof. apply above_all. Qed.

(* 6. Budgets: any costs in any order, so any interleaving of a whole tree on one counter. *)
Lemma step_within spent cost limit : spent <= session.step_spent spent cost limit /\
  (spent <= limit -> session.step_spent spent cost limit <= limit).
Proof.
  unfold session.step_spent, verdict.budget_suffices.
  destruct (Z.leb_spec 0 cost), (Z.leb_spec 0 spent), (Z.leb_spec (spent + cost) limit); simpl; lia.
Qed.

Lemma spent_within costs limit : forall spent, spent <= session.session_spent spent limit costs /\
  (spent <= limit -> session.session_spent spent limit costs <= limit).
Proof.
  unfold session.session_spent; cbv zeta; induction costs as [|c costs IH]; intros spent; simpl;
    [lia|].
  pose proof (step_within spent c limit); specialize (IH (session.step_spent spent c limit)); lia.
Qed.

Theorem no_number_of_calls_overspends_a_budget spent limit costs :
  spent <= limit -> session.session_spent spent limit costs <= limit.
Proof. apply spent_within. Qed.

Theorem what_is_spent_never_falls_whatever_the_costs spent limit costs more :
  session.session_spent spent limit costs <= session.session_spent spent limit (costs ++ more).
Proof.
  unfold session.session_spent at 2; cbv zeta; rewrite fold_left_app.
  apply (spent_within more limit (session.session_spent spent limit costs)).
Qed.

Theorem what_is_left_never_rises spent limit costs more :
  0 <= spent ->
  verdict.remaining (session.session_spent spent limit (costs ++ more)) limit <=
  verdict.remaining (session.session_spent spent limit costs) limit.
Proof.
  intros H; pose proof (what_is_spent_never_falls_whatever_the_costs spent limit costs more).
  pose proof (proj1 (spent_within costs limit spent)); unfold verdict.remaining.
  repeat match goal with |- context [?a <? ?b] => destruct (Z.ltb_spec a b)
    | |- context [?a <=? ?b] => destruct (Z.leb_spec a b) end; simpl; lia.
Qed.

Theorem a_delegation_chain_ends hops next : verdict.depth_falls hops next = true -> 0 <= next < hops.
Proof. unfold verdict.depth_falls; rewrite andb_true_iff, Z.leb_le, Z.ltb_lt; auto. Qed.
