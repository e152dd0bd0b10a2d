(* Law: exposure is the model's three booleans, and a label's sixteen bits are its five axes. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Require Import Model Packing Words Packed RefineAuthority.
Import ListNotations.
Open Scope Z_scope.

(* 1. Exposure. *)
Theorem what_is_written_of_an_exposure_is_read_again e : exposure_at (exposed e) = e.
Proof. destruct e as [p u x]; destruct p, u, x; reflexivity. Qed.

Lemma word_written n z : 0 <= n -> (Z.land z (Z.lnot (Z.ones n)) =? 0) = true <-> 0 <= z < 2 ^ n.
Proof.
  intros Hn; rewrite Z.eqb_eq; split; [now apply word_range|intros H].
  apply Z.bits_inj'; intros k Hk; rewrite Z.land_spec, Z.lnot_spec, Z.testbit_0_l by lia.
  destruct (Z_lt_le_dec k n) as [L|L].
  - rewrite (Z.ones_spec_low n k) by lia; apply andb_false_r.
  - replace z with (z mod 2 ^ n) by (apply Z.mod_small; lia).
    rewrite Z.mod_pow2_bits_high by lia; reflexivity.
Qed.

Theorem a_number_is_an_exposure_exactly_if_it_is_three_bits z :
  exposure.valid z = true <-> exists e, z = exposed e.
Proof.
  unfold exposure.valid; change exposure.ALL with (Z.ones 3); rewrite word_written by lia; split.
  - intros H; assert (C : z = 0 \/ z = 1 \/ z = 2 \/ z = 3 \/ z = 4 \/ z = 5 \/ z = 6 \/ z = 7) by lia.
    exists (exposure_at z); repeat (destruct C as [->|C]; [reflexivity|]); subst; reflexivity.
  - intros [[p u x] ->]; destruct p, u, x; vm_compute; split; congruence.
Qed.

Lemma lor_exposed e f : Z.lor (exposed e) (exposed f) = exposed (both e f).
Proof. apply lor_bits. Qed.

Theorem exposures_join_by_union e f : exposure.join (exposed e) (exposed f) = exposed (both e f).
Proof. apply lor_exposed. Qed.

Theorem one_exposure_is_within_another_as_the_model_says e f :
  exposure.leq (exposed e) (exposed f) = seen_within e f.
Proof. destruct e as [p u x], f as [q v y]; destruct p, u, x, q, v, y; reflexivity. Qed.

Theorem the_state_is_uninhabitable_as_the_model_says e :
  exposure.complete (exposed e) = uninhabitable e.
Proof. destruct e as [p u x]; destruct p, u, x; reflexivity. Qed.

Theorem the_gate_is_the_models_gate e f : exposure.gates (exposed e) (exposed f) = gate e f.
Proof. destruct e as [p u x], f as [q v y]; destruct p, u, x, q, v, y; reflexivity. Qed.

Theorem the_risk_is_how_many_legs_stand e : projection.risk (exposed e) = risk e.
Proof. destruct e as [p u x]; destruct p, u, x; reflexivity. Qed.

Theorem grades_compose_by_the_greater a b : projection.compose a b = Z.max a b.
Proof. unfold projection.compose; destruct (Z.leb_spec b a); lia. Qed.

Theorem an_operation_records_what_the_table_says o :
  projection.records o = exposed (records (operation_at o)).
Proof. unfold projection.records; each_operation o; [destruct p; reflexivity|now rewrite K]. Qed.

Theorem an_operation_projects_what_the_model_says o trusted sealed mounted :
  projection.projects o trusted sealed (exposed mounted) =
  exposed (projects (operation_at o) trusted sealed mounted).
Proof.
  unfold projection.projects; each_operation o; [|now rewrite K].
  destruct mounted as [x y z]; destruct p, trusted, sealed, x, y, z; reflexivity.
Qed.

Theorem an_operation_raises_what_the_model_says o sealed mounted :
  projection.raises o sealed (exposed mounted) = exposed (raises (operation_at o) sealed mounted).
Proof.
  unfold projection.raises, raises; rewrite an_operation_projects_what_the_model_says,
    an_operation_records_what_the_table_says.
  each_operation o; [destruct p; reflexivity|].
  destruct (Z.eqb_spec o lattice.RUN_BASH) as [->|_]; [discriminate N|reflexivity].
Qed.

Theorem a_binding_adds_by_union e f : projection.with_binding (exposed e) (exposed f) = exposed (both e f).
Proof. apply lor_exposed. Qed.

Theorem a_projection_is_a_way_out_by_its_third_leg e :
  projection.is_exfil_projection (exposed e) = exfil_vector e.
Proof. destruct e as [p u x]; destruct p, u, x; reflexivity. Qed.

Theorem what_a_call_leaves_joins_by_union e f : projection.after (exposed e) (exposed f) = exposed (both e f).
Proof. apply lor_exposed. Qed.

Theorem the_gate_is_complete_as_the_model_says e f :
  projection.gate_complete (exposed e) (exposed f) = uninhabitable (both e f).
Proof. destruct e as [p u x], f as [q v y]; destruct p, u, x, q, v, y; reflexivity. Qed.

Theorem a_sessions_exposure_is_the_models start steps :
  session.session_exposure (exposed start) (map exposed steps) = exposed (seen_after start steps).
Proof.
  exact (fold_written exposed both Z.lor lor_exposed steps start).
Qed.

Theorem the_projected_session_is_the_models start steps :
  projection.session (exposed start) (map exposed steps) = exposed (seen_after start steps).
Proof. apply (a_sessions_exposure_is_the_models start steps). Qed.

Theorem one_step_of_exposure_is_a_union e f :
  session.step_exposure (exposed e) (exposed f) = exposed (both e f).
Proof. apply lor_exposed. Qed.

Theorem the_grade_of_a_session_is_its_worst start grades :
  projection.session_risk start grades = worst_risk start grades.
Proof.
  unfold projection.session_risk, worst_risk; cbv zeta; revert start; induction grades as [|g l IH];
    intros start; auto; cbn [fold_left]; rewrite grades_compose_by_the_greater; apply IH.
Qed.

(* 2. Labels: which numbers they are. *)
Ltac axes l := destruct l as [conf0 integ0 auth0 prov0 deriv0].
Ltac label_word := unfold labelled; lists; cbn [sources conf integ auth prov deriv].

Theorem what_is_written_of_a_label_is_read_again l :
  conf (label_at (labelled l)) = conf l /\ integ (label_at (labelled l)) = integ l /\
  auth (label_at (labelled l)) = auth l /\ deriv (label_at (labelled l)) = deriv l /\
  forall s, prov (label_at (labelled l)) s = prov l s.
Proof.
  axes l; unfold label_at, bit; cbn [conf integ auth prov deriv].
  assert (B : forall n, Z.testbit (labelled (Build_label conf0 integ0 auth0 prov0 deriv0)) (Z.of_nat n) =
    nth n (conf_defects conf0 ++ integ_defects integ0 ++ auth_defects auth0 ++ map prov0 sources ++
           deriv_defects deriv0) false) by (intros; apply bit_of_bits).
  pose proof (B 0%nat) as B0; pose proof (B 1%nat) as B1; pose proof (B 2%nat) as B2;
    pose proof (B 3%nat) as B3; pose proof (B 4%nat) as B4; pose proof (B 5%nat) as B5;
    pose proof (B 6%nat) as B6; pose proof (B 13%nat) as B13; pose proof (B 14%nat) as B14;
    pose proof (B 15%nat) as B15; change (Z.of_nat 13) with 13 in *.
  cbn [Z.of_nat Pos.of_succ_nat Pos.succ] in *; rewrite B0, B1, B2, B3, B4, B5, B6, B13, B14, B15.
  repeat split; try (destruct conf0, integ0, auth0, deriv0; reflexivity).
  intros s; pose proof (B (7 + Z.to_nat (source_number s))%nat) as P.
  replace (Z.of_nat (7 + Z.to_nat (source_number s))) with (7 + source_number s) in P
    by (destruct s; reflexivity).
  rewrite P; destruct conf0, integ0, auth0, s; reflexivity.
Qed.

(* 3. Which numbers are labels: sixteen bits, every thermometer filled from below. *)
Lemma filled_below z n m : labels.valid z = true ->
  In (n, m) [(1, 0); (3, 2); (5, 4); (6, 5); (15, 14); (15, 13)] ->
  Z.testbit z n = true -> Z.testbit z m = true.
Proof.
  unfold labels.valid; cbv zeta; rewrite andb_true_iff; intros [_ H] I T.
  apply Z.eqb_eq in H; pose proof (proj1 (zero_bits _) H m) as B; cbn [In] in I.
  destruct (Z.testbit z m) eqn:E; [reflexivity|exfalso].
  repeat (destruct I as [I|I]; [injection I as <- <-|]); try destruct I;
    specialize (B ltac:(lia));
    rewrite !Z.land_spec, Z.lor_spec, !Z.shiftr_spec, !Z.land_spec, Z.lnot_spec, E in B by lia;
    cbn [Z.add Pos.add Pos.succ Pos.add_carry] in B; rewrite T in B;
    rewrite ?(andb_true_l (Z.testbit _ _)) in B;
    repeat match type of B with context [Z.testbit (Zpos ?c) ?k] =>
      let v := eval vm_compute in (Z.testbit (Zpos c) k) in change (Z.testbit (Zpos c) k) with v in B end;
    change labels.TOP with 65535 in B;
    repeat match type of B with context [Z.testbit (Zpos ?c) ?k] =>
      let v := eval vm_compute in (Z.testbit (Zpos c) k) in change (Z.testbit (Zpos c) k) with v in B end;
    rewrite ?orb_true_r in B; discriminate B.
Qed.

Theorem every_valid_number_is_a_label z : labels.valid z = true -> labelled (label_at z) = z.
Proof.
  intros V; pose proof (fun n m => filled_below z n m V) as F.
  assert (R : 0 <= z < 2 ^ Z.of_nat 16).
  { unfold labels.valid in V; cbv zeta in V; apply andb_true_iff in V; destruct V as [V _].
    apply (word_range 16); [lia|now apply Z.eqb_eq]. }
  rewrite <- (bits_of_digits 16 z R) at 2; rewrite digits_are_bits; cbn [seq map].
  unfold labelled, label_at, bit; cbn [conf integ auth prov deriv sources map].
  assert (F0 := F 1 0 ltac:(cbn; tauto)); assert (F2 := F 3 2 ltac:(cbn; tauto));
    assert (F4 := F 5 4 ltac:(cbn; tauto)); assert (F5 := F 6 5 ltac:(cbn; tauto));
    assert (F14 := F 15 14 ltac:(cbn; tauto)); assert (F13 := F 15 13 ltac:(cbn; tauto)); clear F R V.
  cbn -[Z.testbit bits] in *.
  destruct (Z.testbit z 1), (Z.testbit z 0); try discriminate (F0 eq_refl);
  destruct (Z.testbit z 3), (Z.testbit z 2); try discriminate (F2 eq_refl);
  destruct (Z.testbit z 6), (Z.testbit z 5); try discriminate (F5 eq_refl);
  destruct (Z.testbit z 4); try discriminate (F4 eq_refl);
  destruct (Z.testbit z 15), (Z.testbit z 14); try discriminate (F14 eq_refl);
  destruct (Z.testbit z 13); try discriminate (F13 eq_refl); reflexivity.
Qed.

Lemma label_valid l : labels.valid (labelled l) = true.
Proof.
  destruct l as [c i a p d]; unfold labelled, labels.valid; cbv zeta;
    cbn [conf integ auth prov deriv map sources].
  generalize (p User) (p Tool) (p Web) (p Memory) (p TheModel) (p System); intros.
  rewrite (Z.land_comm (Z.lnot _)); change labels.TOP with (bits (repeat true 16)).
  rewrite !less_bits_are, !land_digits, (shiftr_bits 1), (shiftr_bits 2), lor_bits, land_bits, !bits_zero.
  destruct c, i, a, d; cbn [conf_defects integ_defects auth_defects deriv_defects app];
    lists; constants; lists; plain; reflexivity.
Qed.

Theorem a_number_is_valid_exactly_if_it_is_some_label z :
  labels.valid z = true <-> exists l, z = labelled l.
Proof.
  split; [|intros [l ->]; apply label_valid].
  intros V; exists (label_at z); symmetry; now apply every_valid_number_is_a_label.
Qed.

(* 4. Joins, axis by axis and all at once. *)
Lemma either_app l : forall m r t, length l = length m ->
  either_bits (l ++ r) (m ++ t) = either_bits l m ++ either_bits r t.
Proof.
  induction l as [|x l IH]; intros [|y m] r t H; try discriminate; [reflexivity|].
  injection H as H; cbn; f_equal; auto.
Qed.

Lemma lor_labelled a b : Z.lor (labelled a) (labelled b) = labelled (mix a b).
Proof.
  unfold labelled; rewrite lor_bits; f_equal; axes a; destruct b as [c i u p d];
    unfold mix; cbn [conf integ auth prov deriv].
  rewrite (either_app (conf_defects conf0)), (either_app (integ_defects integ0)),
    (either_app (auth_defects auth0)), (either_app (map prov0 sources)); auto.
  - f_equal; [destruct conf0, c; reflexivity|f_equal; [destruct integ0, i; reflexivity|f_equal;
      [destruct auth0, u; reflexivity|f_equal; destruct deriv0, d; reflexivity]]].
  - destruct auth0, u; reflexivity.
  - destruct integ0, i; reflexivity.
  - destruct conf0, c; reflexivity.
Qed.
