(* Law: reading, releasing and mixing labels, and what a sink accepts, are the model's, axis by axis
   and sink by sink. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Require Import Model Packing Words Packed RefineAuthority RefineLabels.
Import ListNotations.
Open Scope Z_scope.

(* A mask as no more bits than it has, so that only the axes it reads are looked at. *)
Ltac masks := unfold labelled; repeat match goal with
  | |- context [Z.land (bits ?l) ?c] =>
      lazymatch c with bits _ => fail | Z.lnot _ => fail | _ =>
        let n := eval vm_compute in (Z.to_nat (Z.log2 c + 1)) in
        let d := eval vm_compute in (digits n c) in
        change (Z.land (bits l) c) with (Z.land (bits l) (bits d)); rewrite land_bits
      end
  end; rewrite ?bits_zero; cbn [conf integ auth prov deriv].

(* 1. Joins. *)
Theorem labels_mix_axis_by_axis a b : labels.join (labelled a) (labelled b) = labelled (mix a b).
Proof. apply lor_labelled. Qed.

Theorem a_value_is_labelled_by_all_it_was_made_from intrinsic parents :
  labelling.propagate (labelled intrinsic) (map labelled parents) = labelled (made_from intrinsic parents).
Proof.
  exact (fold_written labelled mix Z.lor lor_labelled parents intrinsic).
Qed.

Lemma less_app l : forall m r t, length l = length m ->
  less_bits (l ++ r) (m ++ t) = less_bits l m ++ less_bits r t.
Proof.
  induction l as [|x l IH]; intros [|y m] r t H; try discriminate; [reflexivity|].
  injection H as H; cbn; f_equal; auto.
Qed.

Lemma none_app l m : negb (existsb (fun b => b) (l ++ m)) =
  (negb (existsb (fun b => b) l) && negb (existsb (fun b => b) m))%bool.
Proof. now rewrite existsb_app, negb_orb. Qed.

Theorem a_label_flows_to_another_if_every_axis_does a b :
  labels.flows_to (labelled a) (labelled b) = flows_to a b.
Proof.
  unfold labels.flows_to, flows_to, labelled; rewrite less_bits_are, bits_zero.
  axes a; destruct b as [c i u p d]; cbn [conf integ auth prov deriv].
  rewrite (less_app (conf_defects conf0)), (less_app (integ_defects integ0)),
    (less_app (auth_defects auth0)), (less_app (map prov0 sources)), !none_app, !andb_assoc; auto.
  - f_equal; [f_equal; [f_equal; [f_equal|]|]|]; [destruct conf0, c|destruct integ0, i|
      destruct auth0, u|cbn|destruct deriv0, d]; try reflexivity.
    rewrite !negb_orb; f_equal; [|f_equal; [|f_equal; [|f_equal; [|f_equal; [|f_equal]]]]];
      try reflexivity; destruct (prov0 _), (p _); reflexivity.
  - destruct auth0, u; reflexivity.
  - destruct integ0, i; reflexivity.
  - destruct conf0, c; reflexivity.
Qed.

(* 2. Reading an axis. *)
Theorem confidentiality_is_read_as_it_is_written l : labels.conf (labelled l) = conf_rank (conf l).
Proof. axes l; unfold labels.conf; masks; destruct conf0; reflexivity. Qed.

Theorem integrity_is_read_as_it_is_written l : labels.integ (labelled l) = integ_rank (integ l).
Proof. axes l; unfold labels.integ; masks; destruct conf0, integ0; reflexivity. Qed.

Theorem authority_is_read_as_it_is_written l : labels.authority (labelled l) = auth_rank (auth l).
Proof. axes l; unfold labels.authority; masks; destruct conf0, integ0, auth0; reflexivity. Qed.

Lemma defects_skip c i u m : skipn 7 (conf_defects c ++ integ_defects i ++ auth_defects u ++ m) = m.
Proof. destruct c, i, u; reflexivity. Qed.

Theorem provenance_is_read_as_it_is_written l :
  labels.provenance (labelled l) = bits (map (prov l) sources).
Proof.
  axes l; unfold labels.provenance, labelled; rewrite (shiftr_bits 7), defects_skip.
  change labels.PROV_ALL with (bits (repeat true 6)); rewrite land_bits.
  cbn [prov sources map app both_bits repeat]; now rewrite !andb_true_r.
Qed.

Lemma derivation_bits l k : (13 <= k)%nat -> Z.testbit (labelled l) (Z.of_nat k) =
  nth (k - 13) (deriv_defects (deriv l)) false.
Proof.
  intros H; unfold labelled; rewrite bit_of_bits; axes l; cbn [conf integ auth prov deriv].
  replace k with (13 + (k - 13))%nat at 1 by lia; generalize (k - 13)%nat; intros n.
  destruct conf0, integ0, auth0; reflexivity.
Qed.

Lemma source_bit l s : Z.testbit (labelled l) (7 + source_number s) = prov l s.
Proof. apply (proj2 (proj2 (proj2 (proj2 (what_is_written_of_a_label_is_read_again l))))). Qed.

Lemma one_bit_mask z n : 0 <= n -> (Z.land z (2 ^ n) =? 0) = negb (Z.testbit z n).
Proof.
  intros H; apply eq_true_iff_eq; rewrite Z.eqb_eq, negb_true_iff, zero_bits; split.
  - intros K; specialize (K n H); now rewrite Z.land_spec, Z.pow2_bits_true, andb_true_r in K by lia.
  - intros K m Hm; rewrite Z.land_spec; destruct (Z.eq_dec m n) as [->|E]; [now rewrite K|].
    now rewrite (Z.pow2_bits_false n m), andb_false_r by lia.
Qed.

Theorem derivation_is_read_as_it_is_written l :
  labels.derivation (labelled l) = deriv_number (deriv l).
Proof.
  unfold labels.derivation; change 32768 with (2 ^ 15); rewrite one_bit_mask, negb_involutive by lia.
  change (Z.testbit (labelled l) 15) with (Z.testbit (labelled l) (Z.of_nat 15)).
  rewrite derivation_bits by lia; unfold labelled; rewrite (shiftr_bits 13).
  change 3 with (bits [true; true]) at 1; rewrite land_bits; axes l; cbn [conf integ auth prov deriv].
  destruct conf0, integ0, auth0, deriv0; reflexivity.
Qed.

Theorem a_label_shows_a_session_what_the_model_says l :
  labelling.to_exposure (labelled l) = exposed (to_exposure l).
Proof. axes l; unfold labelling.to_exposure; cbv zeta; masks; destruct conf0, integ0; reflexivity. Qed.

(* 3. Freshness. *)
Theorem a_value_expires_as_the_model_says observed ttl now :
  labels.expired observed ttl now = expired observed ttl now.
Proof. reflexivity. Qed.

Theorem a_mixture_is_as_old_as_its_oldest_part a b : labelling.join_observed a b = older a b.
Proof. unfold labelling.join_observed, older; destruct (Z.leb_spec a b); lia. Qed.

Theorem a_mixture_lives_as_briefly_as_its_shortest_part a b : labelling.join_ttl a b = shorter a b.
Proof.
  unfold labelling.join_ttl, shorter; destruct (a =? 0), (b =? 0); auto; destruct (Z.leb_spec a b); lia.
Qed.

(* 4. Making labels, and releasing. *)
Lemma low_levels z : (z = 0 \/ z = 1 \/ z = 2 \/ z = 3) \/ (z < 0 \/ 3 < z).
Proof. lia. Qed.

Ltac levels z := destruct (low_levels z) as [[->|[->|[->| ->]]]|H];
  [reflexivity|reflexivity|reflexivity|reflexivity|].

Ltac no_level := repeat match goal with
  | |- context [?a =? ?b] => destruct (Z.eqb_spec a b); [vm_compute in *; subst; exfalso; lia|] end;
  try reflexivity; match goal with |- context [match ?z with _ => _ end] =>
    destruct z as [|[p|[p|p|]|]|p]; try reflexivity; exfalso; lia end.

Theorem confidentiality_is_written_as_the_model_says z :
  labelling.conf_bits z = bits (conf_defects (conf_given z)).
Proof. destruct z as [|[p|p|]|p]; reflexivity. Qed.

Theorem integrity_is_written_as_the_model_says z :
  labelling.integ_bits z = 4 * bits (integ_defects (integ_given z)).
Proof. destruct z as [|[p|[p|p|]|]|p]; reflexivity. Qed.

Theorem authority_is_written_as_the_model_says z :
  labelling.auth_bits z = 16 * bits (auth_defects (auth_given z)).
Proof. destruct z as [|[[p|p|]|[p|p|]|]|p]; reflexivity. Qed.

Lemma few_sources z : 0 <= z < 64 -> In z (map Z.of_nat (seq 0 64)).
Proof.
  intros H; replace z with (Z.of_nat (Z.to_nat z)) by lia; apply in_map, in_seq; lia.
Qed.

Theorem provenance_is_written_as_the_model_says z :
  labelling.prov_bits z = 128 * bits (map (prov_given z) sources).
Proof.
  unfold labelling.prov_bits; change labels.PROV_ALL with (Z.ones 6).
  destruct ((0 <=? z) && (z <? 64)) eqn:R.
  - pose proof R as R1; apply andb_true_iff in R1; rewrite Z.leb_le, Z.ltb_lt in R1.
    replace (Z.land z (Z.lnot (Z.ones 6)) =? 0) with true by (symmetry; apply word_written; lia).
    pose proof (few_sources z R1) as I; cbn [seq map] in I; revert R; unfold prov_given.
    repeat (destruct I as [<-|I]; [intros; reflexivity|]); destruct I.
  - replace (Z.land z (Z.lnot (Z.ones 6)) =? 0) with false.
    + unfold prov_given; rewrite R; reflexivity.
    + symmetry; apply not_true_iff_false; rewrite word_written by lia; intros K.
      apply andb_false_iff in R; rewrite Z.leb_gt, Z.ltb_ge in R; lia.
Qed.

Theorem derivation_is_written_as_the_model_says z :
  labelling.deriv_bits z = 8192 * bits (deriv_defects (deriv_given z)).
Proof.
  unfold labelling.deriv_bits; change 3 with (Z.ones 2).
  destruct (low_levels z) as [[->|[->|[->| ->]]]|H]; try reflexivity.
  replace (Z.land z (Z.lnot (Z.ones 2)) =? 0) with false.
  - replace (deriv_given z) with OpaqueExternal; [reflexivity|].
    destruct z as [|[[p|p|]|[p|p|]|]|p]; try reflexivity; exfalso; lia.
  - symmetry; apply not_true_iff_false; rewrite word_written by lia; lia.
Qed.
