(* Law: a label is made of its five levels, and a release moves exactly the level it names, as the
   model says. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Require Import Model Packing Words Packed RefineAuthority RefineLabels RefineFlow.
Import ListNotations.
Open Scope Z_scope.

(* 1. Labels from levels, and releases. *)
Lemma shift_in k l : 2 ^ Z.of_nat k * bits l = bits (repeat false k ++ l).
Proof. rewrite <- shiftl_bits, Z.shiftl_mul_pow2 by lia; lia. Qed.

Theorem a_label_is_made_of_its_five_levels c i a p d :
  labelling.make c i a p d = labelled (label_given c i a p d).
Proof.
  unfold labelling.make; cbv zeta; rewrite confidentiality_is_written_as_the_model_says,
    integrity_is_written_as_the_model_says, authority_is_written_as_the_model_says,
    provenance_is_written_as_the_model_says, derivation_is_written_as_the_model_says.
  change 4 with (2 ^ Z.of_nat 2); change 16 with (2 ^ Z.of_nat 4); change 128 with (2 ^ Z.of_nat 7);
    change 8192 with (2 ^ Z.of_nat 13); rewrite !shift_in, !lor_bits.
  unfold label_given, labelled; cbn [conf integ auth prov deriv]; generalize (prov_given p); intros f.
  f_equal; destruct (conf_given c), (integ_given i), (auth_given a), (deriv_given d); cbn;
    rewrite ?orb_false_r; reflexivity.
Qed.

Theorem a_release_of_confidentiality_applies_as_the_model_says l s d :
  labelling.lowers_conf (labelled l) s d = releases (conf_rank (conf l)) s d.
Proof.
  unfold labelling.lowers_conf, releases; rewrite confidentiality_is_read_as_it_is_written.
  apply andb_assoc.
Qed.

Theorem a_release_of_confidentiality_moves_what_the_model_says l s d :
  labelling.lower_conf (labelled l) s d = labelled (lower_conf l s d).
Proof.
  unfold labelling.lower_conf, lower_conf; rewrite a_release_of_confidentiality_applies_as_the_model_says.
  destruct (releases _ _ _) eqn:R; auto; unfold releases in R; rewrite !andb_true_iff in R.
  destruct R as [[E Z0] L]; apply Z.eqb_eq in E; apply Z.leb_le in Z0; apply Z.ltb_lt in L.
  assert (C : d = 0 \/ d = 1) by (axes l; cbn [conf] in E; destruct conf0; cbn in E; lia).
  change labels.CONF_MASK with (bits [true; true]); unfold labelled; rewrite less_bits_are; axes l.
  destruct C as [->| ->]; [change (labelling.conf_bits 0) with (bits [])|
    change (labelling.conf_bits 1) with (bits [true])]; rewrite lor_bits; destruct conf0; reflexivity.
Qed.

Theorem a_promotion_of_integrity_applies_as_the_model_says l s d :
  labelling.raises_integ (labelled l) s d = promotes (integ_rank (integ l)) s d 2.
Proof.
  unfold labelling.raises_integ, promotes; rewrite integrity_is_read_as_it_is_written.
  rewrite (andb_comm (d <=? _)); apply andb_assoc.
Qed.

Theorem a_promotion_of_integrity_moves_what_the_model_says l s d :
  labelling.raise_integ (labelled l) s d = labelled (raise_integ l s d).
Proof.
  unfold labelling.raise_integ, raise_integ; rewrite a_promotion_of_integrity_applies_as_the_model_says.
  destruct (promotes _ _ _ _) eqn:R; auto; unfold promotes in R; rewrite !andb_true_iff in R.
  destruct R as [[E L] M]; apply Z.eqb_eq in E; apply Z.leb_le in M; apply Z.ltb_lt in L.
  assert (C : d = 1 \/ d = 2) by (axes l; cbn [integ] in E; destruct integ0; cbn in E; lia).
  change labels.INTEG_MASK with (bits [false; false; true; true]); unfold labelled;
    rewrite less_bits_are; axes l.
  destruct C as [->| ->]; [change (labelling.integ_bits 1) with (bits [false; false; true])|
    change (labelling.integ_bits 2) with (bits [])]; rewrite lor_bits; f_equal;
    destruct conf0, integ0; reflexivity.
Qed.

Theorem a_promotion_of_authority_applies_as_the_model_says l s d :
  labelling.raises_authority (labelled l) s d = promotes (auth_rank (auth l)) s d 3.
Proof.
  unfold labelling.raises_authority, promotes; rewrite authority_is_read_as_it_is_written.
  rewrite (andb_comm (d <=? _)); apply andb_assoc.
Qed.

Theorem a_promotion_of_authority_moves_what_the_model_says l s d :
  labelling.raise_authority (labelled l) s d = labelled (raise_authority l s d).
Proof.
  unfold labelling.raise_authority, raise_authority;
    rewrite a_promotion_of_authority_applies_as_the_model_says.
  destruct (promotes _ _ _ _) eqn:R; auto; unfold promotes in R; rewrite !andb_true_iff in R.
  destruct R as [[E L] M]; apply Z.eqb_eq in E; apply Z.leb_le in M; apply Z.ltb_lt in L.
  assert (C : d = 1 \/ d = 2 \/ d = 3) by (axes l; cbn [auth] in E; destruct auth0; cbn in E; lia).
  change labels.AUTH_MASK with (bits [false; false; false; false; true; true; true]); unfold labelled;
    rewrite less_bits_are; axes l.
  destruct C as [->|[->| ->]];
    [change (labelling.auth_bits 1) with (bits [false; false; false; false; true; true])|
     change (labelling.auth_bits 2) with (bits [false; false; false; false; true])|
     change (labelling.auth_bits 3) with (bits [])]; rewrite lor_bits; f_equal;
    destruct conf0, integ0, auth0; reflexivity.
Qed.
