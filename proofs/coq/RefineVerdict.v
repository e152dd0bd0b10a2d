(* Law: the verdict on a call is the model's, for every operation, sink, state and set of answers. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits.
Require Import Model Packing Words Packed RefineAuthority RefineLabels RefineSinks.
Import ListNotations.
Open Scope Z_scope.

Theorem the_reasons_to_deny_are_the_models l leaving bad :
  verdict.denials (level_number l) leaving bad = bits [negb (granted_level l); leaving; bad].
Proof. destruct l, leaving, bad; reflexivity. Qed.

Theorem the_reasons_to_ask_are_the_models l owed gates fit undo evidence by_evidence :
  verdict.asks (level_number l) owed gates fit undo evidence by_evidence =
  bits [owed; match l with Always => false | _ => true end && negb evidence;
        negb fit && negb undo && negb (by_evidence && evidence);
        gates && negb (by_evidence && evidence)].
Proof. destruct l, owed, gates, fit, undo, evidence, by_evidence; reflexivity. Qed.

Lemma unanswered asked discharged :
  Z.land (ask_set asked) (Z.lnot discharged) =? 0 =
  negb (existsb (fun a => asked a && negb (asks_at discharged a)) asks).
Proof.
  unfold ask_set; rewrite less_digits, bits_zero, digits_are_bits; reflexivity.
Qed.

Theorem a_verdict_denies_before_it_asks_and_asks_before_it_allows d asked discharged :
  verdict.verdict d (ask_set asked) discharged =
  verdict_number (if negb (d =? 0) then Deny else
    if existsb (fun a => asked a && negb (asks_at discharged a)) asks then Ask else Allow).
Proof.
  unfold verdict.verdict; rewrite unanswered; destruct (d =? 0); cbn [negb]; auto.
  destruct (existsb _ asks); reflexivity.
Qed.

Theorem a_call_is_denied_for_what_the_model_says held s o e p l z stale bad ev gbe :
  negb (verdict.denied_for (caps held) o (labelled l) z bad =? 0) =
  denied {| authority_held := held; owed := s; operation_called := operation_at o; seen := e;
            could := p; value := l; into := sink_at z; stale := stale; bad_release := bad;
            evidence := ev; evidence_opens_the_gate := gbe |}.
Proof.
  unfold verdict.denied_for, denied; cbn [authority_held operation_called value into bad_release].
  cbv zeta; rewrite a_level_is_read_as_the_model_reads_it, a_secret_leaves_as_the_model_says,
    a_sink_is_known_exactly_if_it_is_one_of_the_nineteen, the_reasons_to_deny_are_the_models.
  destruct (sink_at z) as [k|], (granted_level _), (secret_leaves _ _), bad; reflexivity.
Qed.

Theorem a_call_is_asked_about_for_what_the_model_says held s o e p l z observed ttl now bad ev gbe :
  verdict.asked_for (caps held) (ops s) o (exposed e) (exposed p)
    (flow.meets (labelled l) z observed ttl now) z ev gbe =
  ask_set (asked {| authority_held := held; owed := s; operation_called := operation_at o; seen := e;
            could := p; value := l; into := sink_at z; stale := expired observed ttl now;
            bad_release := bad; evidence := ev; evidence_opens_the_gate := gbe |}).
Proof.
  unfold verdict.asked_for; rewrite a_level_is_read_as_the_model_reads_it,
    an_obligation_is_read_as_the_model_reads_it, the_gate_is_the_models_gate,
    a_value_meets_a_sink_exactly_if_it_breaks_no_rule, a_sink_can_be_undone_as_the_table_says,
    the_reasons_to_ask_are_the_models; reflexivity.
Qed.

Theorem the_kernel_judges_every_call_as_the_model_does
  held s o e p l z observed ttl now bad ev gbe discharged :
  session.judge (caps held) (ops s) o (exposed e) (exposed p) (labelled l) z observed ttl now bad ev
    gbe discharged =
  verdict_number (judge
    {| authority_held := held; owed := s; operation_called := operation_at o; seen := e; could := p;
       value := l; into := sink_at z; stale := expired observed ttl now; bad_release := bad;
       evidence := ev; evidence_opens_the_gate := gbe |} (asks_at discharged)).
Proof.
  unfold session.judge; cbv zeta.
  rewrite (a_call_is_asked_about_for_what_the_model_says held s o e p l z observed ttl now bad),
    a_verdict_denies_before_it_asks_and_asks_before_it_allows,
    (a_call_is_denied_for_what_the_model_says held s o e p l z (expired observed ttl now) bad ev gbe).
  reflexivity.
Qed.

(* 2. Amounts, hops, moments. *)
Theorem a_cost_fits_as_the_model_says spent cost limit :
  verdict.budget_suffices spent cost limit = budget_suffices spent cost limit.
Proof.
  unfold verdict.budget_suffices, budget_suffices; destruct (0 <=? cost), (0 <=? spent); reflexivity.
Qed.

Theorem what_is_left_is_the_models spent limit :
  verdict.remaining spent limit = remaining spent limit.
Proof.
  unfold verdict.remaining, remaining; destruct (Z.ltb_spec spent 0), (Z.leb_spec limit spent);
    cbn [orb]; lia.
Qed.

Theorem depth_falls_as_the_model_says old new : verdict.depth_falls old new = depth_falls old new.
Proof. reflexivity. Qed.

Theorem a_time_is_valid_as_the_model_says nbf exp now :
  verdict.time_valid nbf exp now = time_valid nbf exp now.
Proof. reflexivity. Qed.

Theorem one_payment_is_the_models spent cost limit :
  session.step_spent spent cost limit = pay limit spent cost.
Proof. unfold session.step_spent, pay; now rewrite a_cost_fits_as_the_model_says. Qed.

Theorem what_a_session_spends_is_the_models spent limit costs :
  session.session_spent spent limit costs = spent_after limit spent costs.
Proof.
  unfold session.session_spent, spent_after; cbv zeta; revert spent; induction costs as [|c l IH];
    intros spent; auto; cbn [fold_left]; rewrite one_payment_is_the_models; apply IH.
Qed.
