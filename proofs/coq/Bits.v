(* Law: what | and & do to whole numbers, they do to each bit; all else here is bookkeeping.

   Facts about Z alone, and the two functions of the kernel that read a single bit. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated.
Open Scope Z_scope.

Lemma zero_bits x : x = 0 <-> forall n, 0 <= n -> Z.testbit x n = false.
Proof.
  split; [intros -> n _; apply Z.testbit_0_l|].
  intros H; apply Z.bits_inj'; intros n Hn; rewrite Z.testbit_0_l; auto.
Qed.

Lemma leq_bits a b :
  lattice.leq a b = true <-> forall n, 0 <= n -> Z.testbit a n = true -> Z.testbit b n = true.
Proof.
  unfold lattice.leq; rewrite Z.eqb_eq, zero_bits; split; intros H n Hn; specialize (H n Hn);
    rewrite Z.land_spec, Z.lnot_spec in * by lia;
    destruct (Z.testbit a n), (Z.testbit b n); simpl in *; auto; try congruence.
  discriminate H; auto.
Qed.

Lemma leq_refl a : lattice.leq a a = true.
Proof. apply leq_bits; auto. Qed.

Lemma leq_trans a b c : lattice.leq a b = true -> lattice.leq b c = true -> lattice.leq a c = true.
Proof. rewrite !leq_bits; auto. Qed.

Lemma leq_antisym a b : lattice.leq a b = true -> lattice.leq b a = true -> a = b.
Proof.
  rewrite !leq_bits; intros H K; apply Z.bits_inj'; intros n Hn; specialize (H n Hn); specialize (K n Hn).
  destruct (Z.testbit a n), (Z.testbit b n); intuition congruence.
Qed.

Lemma leq_land_l a b : lattice.leq (Z.land a b) a = true.
Proof. apply leq_bits; intros n _; rewrite Z.land_spec, andb_true_iff; tauto. Qed.

Lemma leq_land_r a b : lattice.leq (Z.land a b) b = true.
Proof. rewrite Z.land_comm; apply leq_land_l. Qed.

Lemma leq_lor_l a b : lattice.leq a (Z.lor a b) = true.
Proof. apply leq_bits; intros n _ H; rewrite Z.lor_spec, H; reflexivity. Qed.

Lemma leq_lor_r a b : lattice.leq b (Z.lor a b) = true.
Proof. rewrite Z.lor_comm; apply leq_lor_l. Qed.

Lemma leq_glb a b c :
  lattice.leq c (Z.land a b) = true <-> lattice.leq c a = true /\ lattice.leq c b = true.
Proof.
  rewrite !leq_bits; split.
  - intros H; split; intros n Hn Hc; specialize (H n Hn Hc);
      rewrite Z.land_spec, andb_true_iff in H; tauto.
  - intros [H K] n Hn Hc; rewrite Z.land_spec, H, K; auto.
Qed.

Lemma leq_lub a b c :
  lattice.leq (Z.lor a b) c = true <-> lattice.leq a c = true /\ lattice.leq b c = true.
Proof.
  rewrite !leq_bits; split.
  - intros H; split; intros n Hn Hx; apply H; auto; rewrite Z.lor_spec, Hx; auto using orb_true_r.
  - intros [H K] n Hn Hx; rewrite Z.lor_spec, orb_true_iff in Hx; destruct Hx; auto.
Qed.

Lemma leq_lor_mono a b c d :
  lattice.leq a b = true -> lattice.leq c d = true -> lattice.leq (Z.lor a c) (Z.lor b d) = true.
Proof.
  intros H K; apply leq_lub; split; eapply leq_trans; eauto using leq_lor_l, leq_lor_r.
Qed.

Lemma leq_zero a : lattice.leq a 0 = true -> a = 0.
Proof. intros H; apply leq_antisym; auto; apply leq_bits; intros n _; rewrite Z.testbit_0_l; discriminate. Qed.

(* A mask that is met stays met above. *)
Lemma meets_mask_up a b m : lattice.leq a b = true -> Z.land a m <> 0 -> Z.land b m <> 0.
Proof.
  intros H K E; apply K, leq_zero; rewrite <- E; apply leq_glb; split;
    [eapply leq_trans; [apply leq_land_l|exact H]|apply leq_land_r].
Qed.

Lemma full_mask a m : Z.land a m = m <-> lattice.leq m a = true.
Proof.
  split; intros H.
  - rewrite <- H; apply leq_land_l.
  - apply leq_antisym; [apply leq_land_r|apply leq_glb; auto using leq_refl].
Qed.

Lemma one_bit a n : 0 <= n -> Z.land (Z.shiftr a n) 1 = Z.b2z (Z.testbit a n).
Proof.
  intros Hn; change 1 with (Z.ones 1) at 1; rewrite Z.land_ones by lia.
  rewrite Z.shiftr_div_pow2, Z.testbit_spec' by lia; reflexivity.
Qed.

Lemma known_range op : lattice.known op = true <-> 0 <= op < 13.
Proof. unfold lattice.known, lattice.DIMS; rewrite andb_true_iff, Z.leb_le, Z.ltb_lt; reflexivity. Qed.

Lemma level_bits a op :
  lattice.level_of a op =
  if lattice.known op
  then Z.b2z (Z.testbit a (op + op)) + Z.b2z (Z.testbit a (op + op + 1) && Z.testbit a (op + op))
  else 0.
Proof.
  unfold lattice.level_of; cbv zeta; destruct (lattice.known op) eqn:K; simpl; [|reflexivity].
  apply known_range in K; rewrite one_bit by lia.
  destruct (Z.testbit a (op + op)); simpl; [rewrite one_bit by lia; now rewrite andb_true_r|].
  now rewrite Z.land_0_r, andb_false_r.
Qed.

Lemma obliged_bits o op :
  lattice.obliged o op = (negb (lattice.known op) || Z.testbit o op)%bool.
Proof.
  unfold lattice.obliged; destruct (lattice.known op) eqn:K; simpl; [|reflexivity].
  apply known_range in K; rewrite one_bit by lia; destruct (Z.testbit o op); reflexivity.
Qed.
