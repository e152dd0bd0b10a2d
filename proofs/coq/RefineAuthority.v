(* Law: whatever the kernel computes on capabilities and obligations is what the model says of
   every single operation. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Require Import Model Packing Words Packed.
Import ListNotations.
Open Scope Z_scope.

Ltac each_operation o := destruct (operations_end o) as [[p ->]|[N K]];
  [rewrite ?operation_back|rewrite ?N].

(* 1. The lattice. *)
Theorem meet_is_the_lesser_level_of_every_operation a b :
  lattice.meet (caps a) (caps b) = caps (meet a b).
Proof. apply land_caps. Qed.

Theorem join_is_the_greater_level_of_every_operation a b :
  lattice.join (caps a) (caps b) = caps (join a b).
Proof. apply lor_caps. Qed.

Theorem leq_is_within_in_every_operation a b : lattice.leq (caps a) (caps b) = leq a b.
Proof. apply leq_caps. Qed.

Theorem the_top_and_the_bottom_are_always_and_never_everywhere :
  lattice.TOP = caps top /\ lattice.BOTTOM = caps bottom.
Proof. split; reflexivity. Qed.

Theorem an_operation_is_known_exactly_if_it_is_one_of_the_thirteen o :
  lattice.known o = true <-> operation_at o <> None.
Proof.
  each_operation o; [destruct p; (split; [discriminate|reflexivity])|].
  rewrite K; split; [discriminate|congruence].
Qed.

Theorem a_level_is_read_as_the_model_reads_it a o :
  lattice.level_of (caps a) o = level_number (level_of a (operation_at o)).
Proof.
  rewrite level_bits; each_operation o; [|now rewrite K].
  destruct (caps_bit a p true ltac:(destruct p; discriminate)) as [L H].
  replace (operation_number p + operation_number p) with (2 * operation_number p) by lia.
  rewrite L, H; cbn [level_of]; destruct (a p); destruct p; reflexivity.
Qed.

Theorem one_operation_at_one_level_is_that_and_nothing_else o l :
  lattice.with_level o l = caps (with_level (operation_at o) (level_at l)).
Proof.
  unfold lattice.with_level, lattice.LOW_RISK, lattice.ALWAYS; each_operation o; [|now rewrite K].
  replace (lattice.known (operation_number p)) with true by (destruct p; reflexivity); cbn [negb orb].
  destruct (levels_end l) as [[k ->]|[-> ->]]; [destruct k, p; reflexivity|destruct p; reflexivity].
Qed.

Theorem the_granted_set_is_what_is_above_never a : lattice.granted (caps a) = ops (granted a).
Proof.
  unfold lattice.granted, caps; cbv zeta; change lattice.OPS with (bits (repeat true 13)).
  word; plain; each.
Qed.

Theorem an_obligation_is_read_as_the_model_reads_it s o :
  lattice.obliged (ops s) o = obliged s (operation_at o).
Proof.
  rewrite obliged_bits; each_operation o; [|now rewrite K].
  unfold ops; destruct p; cbn [operation_number obliged]; read_bits; reflexivity.
Qed.

(* 2. nu *)
Lemma lor_ops s t : Z.lor (ops s) (ops t) = ops (union s t).
Proof. unfold ops; word; each. Qed.

Lemma fires a : lattice.nu_fires (caps a) = nu_fires a.
Proof.
  unfold lattice.nu_fires, nu_fires, lattice.READS, lattice.NETWORK, lattice.NU_DIMS, caps.
  rewrite !land_digits, !bits_zero; lists; constants; lists; unfold somewhere; cbn [existsb operations].
  unfold reads, network, nu_exfil, granted; cbn [andb orb]; plain; rewrite !negb_involutive, <- andb_assoc.
  f_equal; [|f_equal]; means; settle.
Qed.

Theorem nu_fires_on_the_three_legs a : lattice.nu_fires (caps a) = nu_fires a.
Proof. apply fires. Qed.

Theorem nu_adds_the_granted_ways_out a s : lattice.nu (caps a) (ops s) = ops (nu a s).
Proof.
  unfold lattice.nu, nu; rewrite fires; destruct (nu_fires a); auto.
  rewrite the_granted_set_is_what_is_above_never.
  assert (E : Z.land (ops (granted a)) lattice.NU_OPS =
              ops (fun o => (nu_exfil o && granted a o)%bool)).
  { unfold ops, lattice.NU_OPS; word; plain; each. }
  rewrite E; apply lor_ops.
Qed.

(* 3. The arrow and what follows from it. *)
Theorem the_arrow_is_the_arrow_of_every_level a b :
  heyting.implies (caps a) (caps b) = caps (implies a b).
Proof. apply arrow_caps. Qed.

Theorem the_negation_is_the_negation_of_every_level a : heyting.neg (caps a) = caps (neg a).
Proof. apply (arrow_caps a bottom). Qed.

Theorem setting_a_level_sets_that_and_nothing_else a o l :
  heyting.set_level (caps a) o l = caps (set_level a (operation_at o) (level_at l)).
Proof.
  unfold heyting.set_level; each_operation o; [|now rewrite K].
  replace (lattice.known (operation_number p)) with true by (destruct p; reflexivity); cbn [negb].
  rewrite one_operation_at_one_level_is_that_and_nothing_else, operation_back.
  unfold caps; rewrite less_digits; destruct (levels_end l) as [[k ->]|[-> _]];
    destruct p; cbn [operation_number]; lists; constants; lists; word; plain; each;
    destruct k; reflexivity.
Qed.
