(* Law: what a sink requires and which rules a flow breaks are the model's, sink by sink. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Require Import Model Packing Words Packed RefineAuthority RefineLabels RefineFlow.
Import ListNotations.
Open Scope Z_scope.

(* 1. Requirements. *)
Lemma sinks_end z :
  (exists s, z = sink_number (Some s) /\ sink_at z = Some s) \/
  (sink_at z = None /\ sinks.known_sink z = false /\ (z < 0 \/ 19 <= z)).
Proof.
  destruct (sink_at z) as [s|] eqn:E; [left; exists s; split; auto|right; split; auto].
  - unfold sink_at in E; destruct z as [|p|p]; try discriminate;
      repeat (destruct p as [p|p|]; try discriminate); injection E as <-; reflexivity.
  - assert (R : ~ 0 <= z < 19).
    { intros K; assert (C : z = 0 \/ z = 1 \/ z = 2 \/ z = 3 \/ z = 4 \/ z = 5 \/ z = 6 \/ z = 7 \/ z = 8 \/
        z = 9 \/ z = 10 \/ z = 11 \/ z = 12 \/ z = 13 \/ z = 14 \/ z = 15 \/ z = 16 \/ z = 17 \/ z = 18)
        by lia; repeat (destruct C as [->|C]; [discriminate E|]); subst; discriminate E. }
    split; [|lia]; unfold sinks.known_sink, sinks.SINK_COUNT.
    apply andb_false_iff; rewrite Z.leb_gt, Z.ltb_ge; lia.
Qed.

Lemma beyond c z : 0 <= c < 2 ^ 19 -> 19 <= z -> Z.land (Z.shiftr c z) 1 = 0.
Proof.
  intros H K; rewrite one_bit by lia; replace c with (c mod 2 ^ 19) by (apply Z.mod_small; lia).
  now rewrite Z.mod_pow2_bits_high by lia.
Qed.

Ltac each_sink z := destruct (sinks_end z) as [(s & -> & E)|(E & K & R)]; rewrite E;
  [destruct s; reflexivity|].
Ltac past := match goal with R : _ \/ 19 <= _ |- _ => destruct R as [R|R] end;
  [repeat match goal with
     | |- context [?z <? 0] => replace (z <? 0) with true by (symmetry; apply Z.ltb_lt; lia)
     | |- context [0 <=? ?z] => replace (0 <=? z) with false by (symmetry; apply Z.leb_gt; lia)
   end; reflexivity|
   rewrite ?beyond by (vm_compute; (split; congruence) || assumption);
   repeat match goal with
     | |- context [?z <? 0] => replace (z <? 0) with false by (symmetry; apply Z.ltb_ge; lia)
     | |- context [0 <=? ?z] => replace (0 <=? z) with true by (symmetry; apply Z.leb_le; lia)
   end; reflexivity].

Theorem a_sink_is_known_exactly_if_it_is_one_of_the_nineteen z :
  sinks.known_sink z = match sink_at z with Some _ => true | None => false end.
Proof. each_sink z; exact K. Qed.

Theorem something_leaves_by_a_sink_as_the_table_says z :
  sinks.exfil z = leaves (requirement_at (sink_at z)).
Proof. each_sink z; unfold sinks.exfil, sinks.NON_EXFIL; past. Qed.

Theorem a_sink_requires_the_authority_of_the_table z :
  sinks.required_authority z = auth_rank (needs_auth (requirement_at (sink_at z))).
Proof. each_sink z; unfold sinks.required_authority, sinks.OPEN_TO_ALL; past. Qed.

Theorem a_sink_requires_the_integrity_of_the_table z :
  sinks.required_integrity z = integ_rank (needs_integ (requirement_at (sink_at z))).
Proof. each_sink z; unfold sinks.required_integrity, sinks.UNTRUSTED_OK, sinks.OPEN_TO_ALL; past. Qed.

Theorem a_sink_requires_verified_values_as_the_table_says z :
  sinks.requires_verified z = verified (requirement_at (sink_at z)).
Proof. each_sink z; unfold sinks.requires_verified, sinks.UNVERIFIED_OK; past. Qed.

Theorem a_sink_can_be_undone_as_the_table_says z :
  sinks.reversible z = undone (requirement_at (sink_at z)).
Proof. each_sink z; unfold sinks.reversible, sinks.REVERSIBLE; past. Qed.

Theorem an_operation_goes_by_default_where_the_model_says o :
  flow.default_sink o = sink_number (default_sink (operation_at o)).
Proof. unfold flow.default_sink; each_operation o; [destruct p; reflexivity|now rewrite K]. Qed.

(* 2. Flows. *)
Theorem the_worst_label_a_sink_takes_is_the_models z : flow.ceiling z = labelled (accepts (sink_at z)).
Proof. each_sink z; unfold flow.ceiling; now rewrite K. Qed.

Theorem a_secret_leaves_as_the_model_says l z :
  sinks.secret_to_exfil (labelled l) z = secret_leaves l (sink_at z).
Proof.
  unfold sinks.secret_to_exfil, secret_leaves; rewrite something_leaves_by_a_sink_as_the_table_says.
  f_equal; axes l; masks; destruct conf0; reflexivity.
Qed.

Lemma web_bit l : negb (Z.land (labelled l) 512 =? 0) = prov l Web.
Proof. change 512 with (2 ^ 9); rewrite one_bit_mask, negb_involutive by lia; apply (source_bit l Web). Qed.

Lemma unverified_bits l : negb (Z.land (labelled l) 40960 =? 0) =
  negb (match deriv l with Deterministic | HumanPromoted => true | _ => false end).
Proof.
  change 40960 with (2 ^ 15 + 2 ^ 13).
  replace (Z.land (labelled l) (2 ^ 15 + 2 ^ 13) =? 0) with
    ((Z.land (labelled l) (2 ^ 15) =? 0) && (Z.land (labelled l) (2 ^ 13) =? 0)).
  - rewrite !one_bit_mask by lia; change (Z.testbit (labelled l) 15) with (Z.testbit (labelled l) (Z.of_nat 15));
      change (Z.testbit (labelled l) 13) with (Z.testbit (labelled l) (Z.of_nat 13)).
    rewrite !derivation_bits by lia; destruct (deriv l); reflexivity.
  - change (2 ^ 15 + 2 ^ 13) with (Z.lor (2 ^ 15) (2 ^ 13)); rewrite Z.land_lor_distr_r.
    apply eq_true_iff_eq; rewrite andb_true_iff, !Z.eqb_eq, Z.lor_eq_0_iff; reflexivity.
Qed.

Lemma six (a b c d e f : bool) :
  Z.lor (Z.lor (Z.lor (Z.lor (Z.lor (if a then sinks.SECRET_EXFIL else 0) (if b then sinks.AUTHORITY_TOO_LOW else 0))
    (if c then sinks.INTEGRITY_TOO_LOW else 0)) (if d then sinks.WEB_EXFIL else 0))
    (if e then sinks.STALE else 0)) (if f then sinks.UNVERIFIED else 0) = bits [a; b; c; d; e; f].
Proof. destruct a, b, c, d, e, f; reflexivity. Qed.

Theorem a_flow_breaks_the_rules_the_model_says l z observed ttl now :
  sinks.flow_failures (labelled l) z observed ttl now =
  rule_set (breaks l (sink_at z) (expired observed ttl now)).
Proof.
  unfold sinks.flow_failures; cbv zeta; rewrite a_secret_leaves_as_the_model_says,
    authority_is_read_as_it_is_written, integrity_is_read_as_it_is_written,
    a_sink_requires_the_authority_of_the_table, a_sink_requires_the_integrity_of_the_table,
    web_bit, unverified_bits, something_leaves_by_a_sink_as_the_table_says,
    a_sink_requires_verified_values_as_the_table_says, a_value_expires_as_the_model_says, six,
    a_sink_is_known_exactly_if_it_is_one_of_the_nineteen.
  destruct (sink_at z) as [s|]; reflexivity.
Qed.

Theorem the_first_rule_is_the_models broken :
  flow.first_rule (rule_set broken) = rule_number (find broken rules).
Proof.
  unfold rule_set, rules; cbn [map find].
  destruct (broken SecretLeaves), (broken AuthorityTooLow), (broken IntegrityTooLow), (broken WebLeaves),
    (broken Stale), (broken Unverified); reflexivity.
Qed.

Theorem the_flow_check_is_the_models l z observed ttl now :
  flow.check_flow (labelled l) z observed ttl now =
  rule_number (check_flow l (sink_at z) (expired observed ttl now)).
Proof.
  unfold flow.check_flow; rewrite a_flow_breaks_the_rules_the_model_says; apply the_first_rule_is_the_models.
Qed.

Lemma all_sources f : forallb (fun s => implb (f s) true) sources = true.
Proof. cbn; destruct (f _), (f _), (f _), (f _), (f _), (f _); reflexivity. Qed.

Lemma accepted l s stale :
  flows_to l (accepts (Some s)) && negb stale = fits l (Some s) stale.
Proof.
  axes l; unfold flows_to, fits, accepts, breaks, rules, secret;
    cbn [conf integ auth prov deriv existsb forallb sources].
  generalize (prov0 User), (prov0 Tool), (prov0 Web), (prov0 Memory), (prov0 TheModel), (prov0 System).
  intros b0 b1 w b2 b3 b4.
  replace (implb b0 true) with true by (destruct b0; auto); replace (implb b1 true) with true by (destruct b1; auto);
    replace (implb b2 true) with true by (destruct b2; auto); replace (implb b3 true) with true by (destruct b3; auto);
    replace (implb b4 true) with true by (destruct b4; auto).
  generalize (requirement_of s); intros [na ni le ve un]; cbn [needs_auth needs_integ leaves verified].
  rewrite !Z.ltb_antisym; generalize (auth_rank na <=? auth_rank auth0) (integ_rank ni <=? integ_rank integ0).
  intros x y; destruct conf0, deriv0, le, ve, w, stale, x, y; reflexivity.
Qed.

Theorem a_value_meets_a_sink_exactly_if_it_breaks_no_rule l z observed ttl now :
  flow.meets (labelled l) z observed ttl now = fits l (sink_at z) (expired observed ttl now).
Proof.
  unfold flow.meets; cbv zeta; rewrite the_worst_label_a_sink_takes_is_the_models,
    a_sink_is_known_exactly_if_it_is_one_of_the_nineteen, a_value_expires_as_the_model_says.
  pose proof (a_label_flows_to_another_if_every_axis_does l (accepts (sink_at z))) as F.
  unfold labels.flows_to in F; rewrite F; destruct (sink_at z) as [s|]; [apply accepted|reflexivity].
Qed.
