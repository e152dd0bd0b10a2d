(* Law: the arrow is the exact residue of meet on all thirteen dimensions at once.

   The proof goes by dimension: bits 2i and 2i+1 of the arrow, then the adjunction bit by bit. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Open Scope Z_scope.

Lemma top_low n : 0 <= n < 26 -> Z.testbit lattice.TOP n = true.
Proof. intros H; change lattice.TOP with (Z.ones 26); now apply Z.ones_spec_low. Qed.

Lemma top_high n : 26 <= n -> Z.testbit lattice.TOP n = false.
Proof. intros H; change lattice.TOP with (Z.ones 26); now apply Z.ones_spec_high; lia. Qed.

Lemma pair_masks i : 0 <= i < 13 ->
  Z.testbit lattice.LO (2 * i) = true /\ Z.testbit lattice.LO (2 * i + 1) = false /\
  Z.testbit lattice.LO (2 * i - 1) = false /\ Z.testbit lattice.HI (2 * i + 1) = true.
Proof.
  intros H; assert (C : i = 0 \/ i = 1 \/ i = 2 \/ i = 3 \/ i = 4 \/ i = 5 \/ i = 6 \/ i = 7 \/
    i = 8 \/ i = 9 \/ i = 10 \/ i = 11 \/ i = 12) by lia.
  repeat (destruct C as [->|C]; [repeat split; reflexivity|]); subst; repeat split; reflexivity.
Qed.

Lemma valid_low a i : lattice.valid a = true -> 0 <= i < 13 ->
  Z.testbit a (2 * i + 1) = true -> Z.testbit a (2 * i) = true.
Proof.
  unfold lattice.valid; rewrite andb_true_iff; intros [_ H] Hi T.
  apply (proj1 (leq_bits (Z.shiftr (Z.land a lattice.HI) 1) a) H (2 * i)); [lia|].
  rewrite Z.shiftr_spec, Z.land_spec, T by lia; now rewrite (proj2 (proj2 (proj2 (pair_masks i Hi)))).
Qed.

Lemma valid_bounded a n : lattice.valid a = true -> 0 <= n -> Z.testbit a n = true -> n < 26.
Proof.
  unfold lattice.valid; rewrite andb_true_iff; intros [H _] Hn T.
  pose proof (proj1 (leq_bits a lattice.TOP) H n Hn T) as K.
  destruct (Z_lt_le_dec n 26) as [L|L]; auto; rewrite (top_high n L) in K; discriminate.
Qed.

(* `fails`: in dimension i, a holds something that b does not. *)
Lemma arrow_bits a b i : 0 <= i < 13 ->
  let fails := (Z.testbit a (2 * i) && negb (Z.testbit b (2 * i))) ||
               (Z.testbit a (2 * i + 1) && negb (Z.testbit b (2 * i + 1))) in
  Z.testbit (heyting.implies a b) (2 * i) = negb fails || Z.testbit b (2 * i) /\
  Z.testbit (heyting.implies a b) (2 * i + 1) = negb fails || Z.testbit b (2 * i + 1).
Proof.
  intros Hi; destruct (pair_masks i Hi) as (E & O & P & _); unfold heyting.implies; cbv zeta.
  set (over := Z.land (Z.land a (Z.lnot b)) lattice.TOP).
  set (failing := Z.land (Z.lor over (Z.shiftr over 1)) lattice.LO).
  assert (V : forall n, 0 <= n < 26 -> Z.testbit over n = Z.testbit a n && negb (Z.testbit b n)).
  { intros n Hn; unfold over; rewrite !Z.land_spec, Z.lnot_spec, top_low, andb_true_r by lia; auto. }
  assert (F0 : Z.testbit failing (2 * i) = Z.testbit over (2 * i) || Z.testbit over (2 * i + 1)).
  { unfold failing; rewrite Z.land_spec, Z.lor_spec, Z.shiftr_spec, E, andb_true_r by lia; auto. }
  assert (F1 : Z.testbit failing (2 * i + 1) = false).
  { unfold failing; rewrite Z.land_spec, O, andb_false_r; auto. }
  assert (F2 : Z.testbit failing (2 * i - 1) = false).
  { unfold failing; rewrite Z.land_spec, P, andb_false_r; auto. }
  rewrite !Z.lor_spec, !Z.land_spec, !Z.lnot_spec, !Z.lor_spec, !Z.shiftl_spec, !top_low by lia.
  replace (2 * i + 1 - 1) with (2 * i) by lia.
  rewrite F0, F1, F2, !V by lia; cbn [andb orb negb]; rewrite ?orb_false_r, ?andb_true_r; auto.
Qed.

Lemma dimension_of n : 0 <= n < 26 -> exists i, 0 <= i < 13 /\ (n = 2 * i \/ n = 2 * i + 1).
Proof.
  intros H; exists (n / 2); pose proof (Z.div_mod n 2); pose proof (Z.mod_pos_bound n 2); lia.
Qed.

Theorem c_with_a_stays_within_b_exactly_if_c_is_within_a_arrow_b a b c :
  lattice.valid a = true -> lattice.valid b = true -> lattice.valid c = true ->
  (lattice.leq (lattice.meet c a) b = true <-> lattice.leq c (heyting.implies a b) = true).
Proof.
  intros Va _ Vc; unfold lattice.meet; rewrite !leq_bits; split; intros H n Hn T.
  - pose proof (valid_bounded c n Vc Hn T) as L.
    destruct (dimension_of n (conj Hn L)) as (i & Hi & D).
    destruct (arrow_bits a b i Hi) as [B0 B1]; pose proof (valid_low a i Va Hi) as A.
    pose proof (valid_low c i Vc Hi) as C.
    pose proof (H (2 * i) ltac:(lia)) as H0; pose proof (H (2 * i + 1) ltac:(lia)) as H1.
    rewrite Z.land_spec in H0, H1.
    destruct D as [-> | ->]; [rewrite B0|rewrite B1]; revert T A C H0 H1;
      destruct (Z.testbit a (2 * i)), (Z.testbit a (2 * i + 1)), (Z.testbit b (2 * i)),
        (Z.testbit b (2 * i + 1)), (Z.testbit c (2 * i)), (Z.testbit c (2 * i + 1));
      simpl; intuition discriminate.
  - rewrite Z.land_spec, andb_true_iff in T; destruct T as [Tc Ta].
    pose proof (valid_bounded c n Vc Hn Tc) as L.
    destruct (dimension_of n (conj Hn L)) as (i & Hi & D).
    destruct (arrow_bits a b i Hi) as [B0 B1]; specialize (H n Hn Tc).
    destruct D as [-> | ->]; [rewrite B0 in H|rewrite B1 in H]; rewrite Ta in H; revert H;
      destruct (Z.testbit a (2 * i)), (Z.testbit a (2 * i + 1)), (Z.testbit b (2 * i)),
        (Z.testbit b (2 * i + 1)); simpl; intuition discriminate.
Qed.
