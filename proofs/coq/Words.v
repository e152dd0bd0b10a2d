(* Law: an operation on whole numbers is the same operation on their lists of bits. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Packing.
Import ListNotations.
Open Scope Z_scope.

Fixpoint both_bits (l m : list bool) {struct m} : list bool :=
  match m with
  | [] => []
  | b :: m => match l with [] => [] | a :: l => (a && b) :: both_bits l m end
  end.
Fixpoint either_bits (l m : list bool) {struct m} : list bool :=
  match m with
  | [] => l
  | b :: n => match l with [] => m | a :: l => (a || b) :: either_bits l n end
  end.
Fixpoint less_bits (l m : list bool) {struct m} : list bool :=
  match m with
  | [] => l
  | b :: m => match l with [] => [] | a :: l => (a && negb b) :: less_bits l m end
  end.
Fixpoint digits (n : nat) (z : Z) : list bool :=
  match n with O => [] | S n => Z.odd z :: digits n (Z.div2 z) end.

Lemma bits_cons b l : bits (b :: l) = 2 * bits l + Z.b2z b.
Proof. reflexivity. Qed.

Lemma split_bit z : z = 2 * Z.div2 z + Z.b2z (Z.odd z).
Proof. apply Z.div2_odd. Qed.

Lemma bit_zero x b : Z.testbit (2 * x + Z.b2z b) 0 = b.
Proof. apply Z.testbit_0_r. Qed.

Lemma bit_succ x b n : 0 <= n -> Z.testbit (2 * x + Z.b2z b) (Z.succ n) = Z.testbit x n.
Proof. apply Z.testbit_succ_r. Qed.

Lemma by_bit x y : Z.testbit x 0 = Z.testbit y 0 ->
  (forall n, 0 <= n -> Z.testbit x (Z.succ n) = Z.testbit y (Z.succ n)) -> x = y.
Proof.
  intros H K; apply Z.bits_inj'; intros n Hn; destruct (Z.eq_dec n 0) as [->|E]; auto.
  replace n with (Z.succ (n - 1)) by lia; apply K; lia.
Qed.

Lemma land_step a b x y :
  Z.land (2 * x + Z.b2z a) (2 * y + Z.b2z b) = 2 * Z.land x y + Z.b2z (a && b).
Proof.
  apply by_bit; [now rewrite Z.land_spec, !bit_zero|intros n H].
  now rewrite Z.land_spec, !bit_succ, Z.land_spec by auto.
Qed.

Lemma lor_step a b x y :
  Z.lor (2 * x + Z.b2z a) (2 * y + Z.b2z b) = 2 * Z.lor x y + Z.b2z (a || b).
Proof.
  apply by_bit; [now rewrite Z.lor_spec, !bit_zero|intros n H].
  now rewrite Z.lor_spec, !bit_succ, Z.lor_spec by auto.
Qed.

Lemma ldiff_step a b x y : Z.land (2 * x + Z.b2z a) (Z.lnot (2 * y + Z.b2z b)) =
  2 * Z.land x (Z.lnot y) + Z.b2z (a && negb b).
Proof.
  apply by_bit; [now rewrite Z.land_spec, Z.lnot_spec, !bit_zero by lia|intros n H].
  now rewrite Z.land_spec, Z.lnot_spec, !bit_succ, Z.land_spec, Z.lnot_spec by lia.
Qed.

Lemma land_bits l : forall m, Z.land (bits l) (bits m) = bits (both_bits l m).
Proof.
  induction l as [|a l IH]; intros [|b m]; auto; [apply Z.land_0_r|].
  cbn [both_bits]; now rewrite !bits_cons, land_step, IH.
Qed.

Lemma lor_bits l : forall m, Z.lor (bits l) (bits m) = bits (either_bits l m).
Proof.
  induction l as [|a l IH]; intros [|b m]; auto; [apply Z.lor_0_r|].
  cbn [either_bits]; now rewrite !bits_cons, lor_step, IH.
Qed.

Lemma less_bits_are l : forall m, Z.land (bits l) (Z.lnot (bits m)) = bits (less_bits l m).
Proof.
  induction l as [|a l IH]; intros [|b m]; auto; [apply Z.land_m1_r|].
  cbn [less_bits]; now rewrite !bits_cons, ldiff_step, IH.
Qed.

Lemma land_digits l : forall z, Z.land (bits l) z = bits (both_bits l (digits (length l) z)).
Proof.
  induction l as [|a l IH]; intros z; auto; cbn [both_bits length digits].
  now rewrite !bits_cons, <- IH, <- land_step, <- split_bit.
Qed.

Lemma less_digits l : forall z, Z.land (bits l) (Z.lnot z) = bits (less_bits l (digits (length l) z)).
Proof.
  induction l as [|a l IH]; intros z; auto; cbn [less_bits length digits].
  now rewrite !bits_cons, <- IH, <- ldiff_step, <- split_bit.
Qed.

Lemma shiftr_bits k : forall l, Z.shiftr (bits l) (Z.of_nat k) = bits (skipn k l).
Proof.
  induction k as [|k IH]; intros l; [apply Z.shiftr_0_r|destruct l as [|b l]].
  - apply Z.shiftr_0_l.
  - rewrite Nat2Z.inj_succ; cbn [skipn]; rewrite <- IH, bits_cons.
    apply Z.bits_inj'; intros n H; rewrite !Z.shiftr_spec by lia.
    now replace (n + Z.succ (Z.of_nat k)) with (Z.succ (n + Z.of_nat k)) by lia; rewrite bit_succ by lia.
Qed.

Lemma shiftl_bits k : forall l, Z.shiftl (bits l) (Z.of_nat k) = bits (repeat false k ++ l).
Proof.
  induction k as [|k IH]; intros l; [apply Z.shiftl_0_r|].
  rewrite Nat2Z.inj_succ; cbn [repeat app]; rewrite bits_cons, <- IH.
  rewrite !Z.shiftl_mul_pow2 by lia; rewrite Z.pow_succ_r by lia; cbn [Z.b2z]; lia.
Qed.

Lemma bits_nonnegative l : 0 <= bits l.
Proof. induction l as [|b l IH]; [reflexivity|rewrite bits_cons; destruct b; cbn [Z.b2z]; lia]. Qed.

Lemma bits_zero l : (bits l =? 0) = negb (existsb (fun b => b) l).
Proof.
  induction l as [|b l IH]; auto; rewrite bits_cons; cbn [existsb].
  pose proof (bits_nonnegative l); destruct b; cbn [Z.b2z orb negb].
  - apply Z.eqb_neq; lia.
  - rewrite <- IH, Z.add_0_r; destruct (Z.eqb_spec (bits l) 0) as [->|E]; auto.
    apply Z.eqb_neq; lia.
Qed.

Lemma bit_of_bits l : forall n, Z.testbit (bits l) (Z.of_nat n) = nth n l false.
Proof.
  induction l as [|b l IH]; intros [|n]; rewrite ?bits_cons.
  - reflexivity.
  - apply Z.testbit_0_l.
  - apply bit_zero.
  - rewrite Nat2Z.inj_succ, bit_succ by lia; apply IH.
Qed.

Lemma bits_of_digits n : forall z, 0 <= z < 2 ^ Z.of_nat n -> bits (digits n z) = z.
Proof.
  induction n as [|n IH]; intros z H; [cbn in *; lia|].
  rewrite Nat2Z.inj_succ, Z.pow_succ_r in H by lia; cbn [digits]; rewrite bits_cons.
  rewrite IH, <- split_bit; auto; rewrite Z.div2_div; split;
    [apply Z.div_pos; lia|apply Z.div_lt_upper_bound; lia].
Qed.

Lemma digits_are_bits n : forall z, digits n z = map (fun i => Z.testbit z (Z.of_nat i)) (seq 0 n).
Proof.
  induction n as [|n IH]; intros z; auto; cbn [digits seq map]; rewrite IH, <- seq_shift, map_map.
  f_equal; apply map_ext; intros i.
  rewrite Nat2Z.inj_succ, Z.div2_spec, Z.shiftr_spec by lia; f_equal; lia.
Qed.

Lemma cons_bits a b l m : a = b -> bits l = bits m -> bits (a :: l) = bits (b :: m).
Proof. intros -> E; now rewrite !bits_cons, E. Qed.

Lemma fold_written {A B : Type} (write : A -> B) f g :
  (forall a b, g (write a) (write b) = write (f a b)) ->
  forall l a, fold_left g (map write l) (write a) = write (fold_left f l a).
Proof.
  intros H l; induction l as [|x l IH]; intros a; [reflexivity|].
  cbn [map fold_left]; rewrite H; apply IH.
Qed.
