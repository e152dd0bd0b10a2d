(* Law: a capability has one number and a valid number is one capability; the kernel's words on
   such numbers are the model's words, level by level. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits LawsHeyting.
Require Import Model Packing Words.
Import ListNotations.
Open Scope Z_scope.

(* Constants as bits, lists of bits worked out, each bit by the levels it depends on. *)
Ltac constants := repeat match goal with
  | |- context [digits ?n ?c] => let d := eval vm_compute in (digits n c) in change (digits n c) with d
  end.
Ltac lists := cbv [caps mask ops flat_map map app operations both_bits either_bits less_bits skipn
  repeat length].
Ltac tests := lists; cbv [forallb existsb everywhere somewhere].
Ltac means := tests; cbv [low high meet join implies neg lesser greater level_arrow within granted
  granted_level project inject merge_from read_only reads writes execution network git infra union
  box spread bottom top diamond alpha gamma closure kernel nu_exfil orb andb negb is with_level
  set_level same implb].
Ltac settle := repeat match goal with
  | |- context [?a ?o] => match type of (a o) with
      | level => is_var a; destruct (a o) | bool => is_var a; destruct (a o) end
  | x : bool |- _ => progress (destruct x)
  | x : option level |- _ => progress (destruct x as [[]|])
  end; try reflexivity.
Ltac plain := cbn [negb]; rewrite ?andb_false_r, ?andb_true_r, ?orb_false_r, ?orb_true_r; cbn [andb orb negb].
Ltac each := plain; means; repeat (apply cons_bits; [settle|]); try reflexivity.
Ltac word := repeat first
  [ rewrite land_bits | rewrite lor_bits | rewrite less_bits_are | rewrite (shiftr_bits 1)
  | rewrite (shiftr_bits 2) | rewrite (shiftr_bits 4) | rewrite (shiftr_bits 8)
  | rewrite (shiftl_bits 1) | rewrite (shiftl_bits 2) | rewrite (shiftl_bits 4)
  | rewrite (shiftl_bits 8) | rewrite land_digits | rewrite less_digits ]; lists; constants; lists.
Ltac read_bits := repeat match goal with
  | |- context [Z.testbit (bits ?l) ?n] =>
      let k := eval vm_compute in (Z.to_nat n) in
      change (Z.testbit (bits l) n) with (Z.testbit (bits l) (Z.of_nat k)); rewrite bit_of_bits
  end.

(* 1. Which numbers are which values. *)
Theorem what_is_written_of_a_capability_is_read_again a o : capability_at (caps a) o = a o.
Proof.
  unfold capability_at, bit, caps; destruct o; cbn [operation_number]; read_bits; cbn;
    destruct (a _); reflexivity.
Qed.

Lemma word_range n z : 0 <= n -> Z.land z (Z.lnot (Z.ones n)) = 0 -> 0 <= z < 2 ^ n.
Proof.
  intros Hn H; assert (E : Z.land z (Z.ones n) = z).
  { apply Z.bits_inj'; intros k Hk; rewrite zero_bits in H; specialize (H k Hk).
    rewrite Z.land_spec, Z.lnot_spec in H by lia; rewrite Z.land_spec.
    destruct (Z.testbit z k), (Z.testbit (Z.ones n) k); auto; discriminate. }
  rewrite <- E, Z.land_ones by lia; apply Z.mod_pos_bound; lia.
Qed.

Theorem every_valid_number_is_a_capability z : lattice.valid z = true -> caps (capability_at z) = z.
Proof.
  intros V; pose proof (fun i => valid_low z i V) as F.
  assert (R : 0 <= z < 2 ^ Z.of_nat 26).
  { unfold lattice.valid in V; apply andb_true_iff in V; destruct V as [V _].
    apply (word_range 26); [lia|now apply Z.eqb_eq]. }
  rewrite <- (bits_of_digits 26 z R) at 2; rewrite digits_are_bits; cbn [seq map].
  lists; unfold capability_at, bit; cbn [operation_number].
  pose proof (F 0 ltac:(lia)); pose proof (F 1 ltac:(lia)); pose proof (F 2 ltac:(lia));
    pose proof (F 3 ltac:(lia)); pose proof (F 4 ltac:(lia)); pose proof (F 5 ltac:(lia));
    pose proof (F 6 ltac:(lia)); pose proof (F 7 ltac:(lia)); pose proof (F 8 ltac:(lia));
    pose proof (F 9 ltac:(lia)); pose proof (F 10 ltac:(lia)); pose proof (F 11 ltac:(lia));
    pose proof (F 12 ltac:(lia)); clear F R V; cbn -[Z.testbit bits] in *.
  repeat (apply cons_bits;
    [repeat match goal with |- context [Z.testbit z ?i] => destruct (Z.testbit z i) eqn:? end;
     intuition congruence|]); reflexivity.
Qed.

Lemma none_cons x l t r : negb x = t -> negb (existsb (fun b => b) l) = r ->
  negb (existsb (fun b => b) (x :: l)) = t && r.
Proof. intros <- <-; cbn [existsb]; apply negb_orb. Qed.

Lemma none_pair x y l t r : negb (x || y) = t -> negb (existsb (fun b => b) l) = r ->
  negb (existsb (fun b => b) (x :: y :: l)) = t && r.
Proof. intros <- <-; cbn [existsb]; rewrite !negb_orb; apply andb_assoc. Qed.

Lemma land_caps a b : Z.land (caps a) (caps b) = caps (meet a b).
Proof. unfold caps; word; each. Qed.

Lemma lor_caps a b : Z.lor (caps a) (caps b) = caps (join a b).
Proof. unfold caps; word; each. Qed.

Lemma leq_caps a b : (Z.land (caps a) (Z.lnot (caps b)) =? 0) = leq a b.
Proof.
  unfold caps; rewrite less_bits_are, bits_zero; unfold leq, everywhere; cbn [forallb operations]; lists.
  repeat (apply none_pair; [means; settle|]); reflexivity.
Qed.

Lemma word_bits z n : 0 <= z < 2 ^ Z.of_nat n ->
  z = bits (map (fun i => Z.testbit z (Z.of_nat i)) (seq 0 n)).
Proof. intros H; now rewrite <- digits_are_bits, bits_of_digits. Qed.

Lemma caps_bit a o (l : bool) : 0 <= operation_number o ->
  Z.testbit (caps a) (2 * operation_number o) = low (a o) /\
  Z.testbit (caps a) (2 * operation_number o + 1) = high (a o).
Proof. intros _; unfold caps; destruct o; cbn [operation_number]; split; read_bits; reflexivity. Qed.

Lemma arrow_range a b : 0 <= heyting.implies a b < 2 ^ Z.of_nat 26.
Proof.
  apply (word_range 26); [lia|]; unfold heyting.implies; cbv zeta.
  apply zero_bits; intros n Hn; change (Z.ones 26) with lattice.TOP.
  rewrite Z.land_spec, (Z.lnot_spec lattice.TOP), Z.lor_spec, !Z.land_spec by lia.
  destruct (Z.testbit lattice.TOP n); rewrite ?andb_false_r; reflexivity.
Qed.

Lemma arrow_pair a b o :
  Z.testbit (heyting.implies (caps a) (caps b)) (2 * operation_number o) = low (implies a b o) /\
  Z.testbit (heyting.implies (caps a) (caps b)) (2 * operation_number o + 1) = high (implies a b o).
Proof.
  destruct (caps_bit a o true ltac:(destruct o; discriminate)) as [A0 A1];
    destruct (caps_bit b o true ltac:(destruct o; discriminate)) as [B0 B1].
  destruct (arrow_bits (caps a) (caps b) (operation_number o) ltac:(destruct o; cbn; lia)) as [-> ->].
  rewrite A0, A1, B0, B1; unfold implies; destruct (a o), (b o); split; reflexivity.
Qed.

Lemma arrow_caps a b : heyting.implies (caps a) (caps b) = caps (implies a b).
Proof.
  pose proof (arrow_pair a b) as P; pose proof (arrow_range (caps a) (caps b)) as R.
  revert P R; generalize (heyting.implies (caps a) (caps b)) (implies a b); intros z c P R.
  rewrite (word_bits _ 26 R) at 1; cbn [seq map]; unfold caps; lists.
  repeat (match goal with |- bits (_ :: _ :: _) = bits (low (_ ?o) :: _) =>
    destruct (P o) as [L H]; cbn [operation_number] in L, H;
    apply cons_bits; [exact L|apply cons_bits; [exact H|clear L H]] end); reflexivity.
Qed.

Lemma bottom_caps : lattice.BOTTOM = caps bottom.
Proof. reflexivity. Qed.

Lemma capability_valid a : lattice.valid (caps a) = true.
Proof.
  unfold lattice.valid, caps; rewrite less_digits, land_digits, (shiftr_bits 1),
    less_bits_are, !bits_zero.
  lists; constants; lists; plain; apply andb_true_iff; split; [reflexivity|].
  repeat (apply (none_cons _ _ true true); [try (destruct (a _); reflexivity); reflexivity|]); reflexivity.
Qed.

Theorem a_number_is_valid_exactly_if_it_is_some_capability z :
  lattice.valid z = true <-> exists a, z = caps a.
Proof.
  split; [|intros [a ->]; apply capability_valid].
  intros V; exists (capability_at z); symmetry; now apply every_valid_number_is_a_capability.
Qed.

Lemma operations_end z :
  (exists o, z = operation_number o) \/ (operation_at z = None /\ lattice.known z = false).
Proof.
  destruct (operation_at z) as [o|] eqn:E; [left; exists o|right; split; auto].
  - unfold operation_at in E; destruct z as [|p|p]; try discriminate;
      repeat (destruct p as [p|p|]; try discriminate); injection E as <-; reflexivity.
  - apply not_true_iff_false; intros K; apply known_range in K.
    assert (C : z = 0 \/ z = 1 \/ z = 2 \/ z = 3 \/ z = 4 \/ z = 5 \/ z = 6 \/ z = 7 \/ z = 8 \/
      z = 9 \/ z = 10 \/ z = 11 \/ z = 12) by lia.
    repeat (destruct C as [->|C]; [discriminate E|]); subst; discriminate E.
Qed.

Lemma operation_back o : operation_at (operation_number o) = Some o.
Proof. now destruct o. Qed.

Lemma levels_end z :
  (exists l, z = level_number l) \/ (level_at z = None /\ (z <? 1) || (2 <? z) = true).
Proof.
  destruct (level_at z) as [l|] eqn:E; [left; exists l|right; split; auto].
  - unfold level_at in E; destruct z as [|[z|[z|z|]|]|z]; try discriminate; injection E as <-; auto.
  - apply not_false_iff_true; intros K; apply orb_false_iff in K; destruct K as [K L].
    apply Z.ltb_ge in K, L; assert (C : z = 1 \/ z = 2) by lia; destruct C as [->| ->]; discriminate.
Qed.
