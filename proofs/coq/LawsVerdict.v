(* Law: the verdict fails closed, and nothing that narrows, exposes, taints or obliges ever moves
   it upward, over chains and sessions of any length.

   Every theorem is about the functions of Generated.v, so about the kernel's own source. *)
From Coq Require Import ZArith List Bool Lia.
Require Import Generated Bits LawsChains.
Import ListNotations.
Open Scope Z_scope.

(* 1. Each part of the verdict moves one way. *)
Lemma level_cases a op :
  lattice.level_of a op = 0 \/ lattice.level_of a op = 1 \/ lattice.level_of a op = 2.
Proof.
  rewrite level_bits; destruct (lattice.known op); auto.
  destruct (Z.testbit a (op + op)), (Z.testbit a (op + op + 1)); simpl; auto.
Qed.

Lemma gates_mono e f p q :
  exposure.leq e f = true -> exposure.leq p q = true ->
  exposure.gates e p = true -> exposure.gates f q = true.
Proof.
  unfold exposure.gates; rewrite !andb_true_iff, !negb_true_iff, !Z.eqb_eq, !Z.eqb_neq, !full_mask.
  intros H K [A B]; split; [eapply leq_trans; [exact A|apply leq_lor_mono; assumption]|].
  exact (meets_mask_up _ _ _ K B).
Qed.

Lemma meets_anti a b sink observed ttl now :
  labels.flows_to a b = true ->
  flow.meets b sink observed ttl now = true -> flow.meets a sink observed ttl now = true.
Proof.
  unfold flow.meets; cbv zeta; rewrite !andb_true_iff; intros H [[K L] E].
  repeat split; auto; exact (leq_trans _ _ _ H L).
Qed.

Lemma secret_mono a b sink :
  labels.flows_to a b = true ->
  sinks.secret_to_exfil a sink = true -> sinks.secret_to_exfil b sink = true.
Proof.
  unfold sinks.secret_to_exfil; rewrite !andb_true_iff, !negb_true_iff, !Z.eqb_neq.
  intros H [A B]; split; [exact (meets_mask_up _ _ _ H A)|exact B].
Qed.

Lemma obliged_mono o p op :
  lattice.leq o p = true -> lattice.obliged o op = true -> lattice.obliged p op = true.
Proof.
  rewrite !obliged_bits; destruct (lattice.known op) eqn:K; simpl; auto.
  apply known_range in K; rewrite leq_bits; intros H; apply H; lia.
Qed.

(* Worse on the left: a lower level, more raised flags, fewer saving ones. *)
Lemma denials_mono l m s t b c :
  (l = 0 \/ l = 1 \/ l = 2) -> (m = 0 \/ m = 1 \/ m = 2) -> l <= m -> implb t s = true -> implb c b = true ->
  lattice.leq (verdict.denials m t c) (verdict.denials l s b) = true.
Proof.
  intros [->|[->| ->]] [->|[->| ->]] H; try lia;
    destruct s, t, b, c; intros I J; try discriminate; vm_compute; reflexivity.
Qed.

Lemma asks_mono l m s t g h f k r e d y z :
  (l = 0 \/ l = 1 \/ l = 2) -> (m = 0 \/ m = 1 \/ m = 2) -> l <= m -> implb t s = true -> implb h g = true ->
  implb f k = true -> implb e d = true -> implb y z = true ->
  lattice.leq (verdict.asks m t h k r d z) (verdict.asks l s g f r e y) = true.
Proof.
  intros [->|[->| ->]] [->|[->| ->]] H; try lia;
    destruct s, t; try discriminate; intros _; destruct g, h; try discriminate; intros _;
    destruct f, k; try discriminate; intros _; destruct e, d; try discriminate; intros _;
    destruct y, z; try discriminate; intros _; destruct r; vm_compute; reflexivity.
Qed.

Lemma verdict_mono d d' q q' x x' :
  lattice.leq d' d = true -> lattice.leq q' q = true -> lattice.leq x x' = true ->
  verdict.verdict d q x <= verdict.verdict d' q' x'.
Proof.
  intros D Q X; unfold verdict.verdict, verdict.DENY, verdict.ASK, verdict.ALLOW.
  destruct (Z.eqb_spec d 0) as [->|N]; simpl.
  - rewrite (leq_zero _ D); simpl.
    destruct (Z.eqb_spec (Z.land q (Z.lnot x)) 0) as [E|E]; simpl.
    + replace (Z.land q' (Z.lnot x') =? 0) with true; [simpl; lia|].
      symmetry; exact (leq_trans _ _ _ Q (leq_trans _ _ _ (proj2 (Z.eqb_eq _ _) E) X)).
    + destruct (Z.land q' (Z.lnot x') =? 0); simpl; lia.
  - destruct (d' =? 0); simpl; [destruct (Z.land q' (Z.lnot x') =? 0)|]; simpl; lia.
Qed.

Lemma implies_implb (a b : bool) : (a = true -> b = true) -> implb a b = true.
Proof. destruct a, b; simpl; auto. Qed.

(* 2. The whole of it. *)
Theorem no_verdict_rises_when_anything_gets_worse
  caps caps' obligations obligations' op seen seen' projected projected' label label' sink
  observed ttl now bad bad' evidence evidence' by_evidence by_evidence' discharged discharged' :
  lattice.leq caps caps' = true ->
  lattice.leq obligations' obligations = true ->
  exposure.leq seen' seen = true ->
  exposure.leq projected' projected = true ->
  labels.flows_to label' label = true ->
  (bad' = true -> bad = true) ->
  (evidence = true -> evidence' = true) ->
  (by_evidence = true -> by_evidence' = true) ->
  lattice.leq discharged discharged' = true ->
  session.judge caps obligations op seen projected label sink observed ttl now bad evidence
    by_evidence discharged <=
  session.judge caps' obligations' op seen' projected' label' sink observed ttl now bad' evidence'
    by_evidence' discharged'.
Proof.
  intros C O S P L B E Y X; unfold session.judge; cbv zeta; apply verdict_mono; auto.
  - unfold verdict.denied_for; cbv zeta.
    assert (D : lattice.leq
      (verdict.denials (lattice.level_of caps' op) (sinks.secret_to_exfil label' sink) bad')
      (verdict.denials (lattice.level_of caps op) (sinks.secret_to_exfil label sink) bad) = true).
    { apply denials_mono; try apply level_cases; try apply implies_implb; auto using level_mono.
      intros T; exact (secret_mono _ _ _ L T). }
    destruct (sinks.known_sink sink); [exact D|apply leq_lor_mono; auto using leq_refl].
  - unfold verdict.asked_for; apply asks_mono; try apply level_cases; try apply implies_implb;
      auto using level_mono.
    + intros T; exact (obliged_mono _ _ _ O T).
    + intros T; exact (gates_mono _ _ _ _ S P T).
    + intros T; exact (meets_anti _ _ _ _ _ _ L T).
Qed.

Theorem no_verdict_rises_down_a_chain_and_a_session_of_any_length
  caps caveats more_caveats obligations owed more_owed op seen steps more_steps projected
  intrinsic parents more_parents sink observed ttl now bad evidence by_evidence discharged :
  session.judge (session.session_caps caps (caveats ++ more_caveats))
    (session.session_obligations obligations (owed ++ more_owed)) op
    (session.session_exposure seen (steps ++ more_steps)) projected
    (labelling.propagate intrinsic (parents ++ more_parents)) sink observed ttl now bad evidence
    by_evidence discharged <=
  session.judge (session.session_caps caps caveats)
    (session.session_obligations obligations owed) op
    (session.session_exposure seen steps) projected
    (labelling.propagate intrinsic parents) sink observed ttl now bad evidence
    by_evidence discharged.
Proof.
  apply no_verdict_rises_when_anything_gets_worse; auto using leq_refl.
  - apply down.
  - apply up.
  - apply up.
  - exact (up parents more_parents intrinsic).
Qed.

Theorem every_call_gets_one_of_three_verdicts
  caps obligations op seen projected label sink observed ttl now bad evidence by_evidence
  discharged :
  let v := session.judge caps obligations op seen projected label sink observed ttl now bad
    evidence by_evidence discharged in
  v = verdict.DENY \/ v = verdict.ASK \/ v = verdict.ALLOW.
Proof.
  cbv zeta; unfold session.judge, verdict.verdict; cbv zeta.
  destruct (negb (_ =? 0)); auto; destruct (negb (_ =? 0)); auto.
Qed.

Lemma never_better_below
  root caveats more obligations owed more_owed op seen projected label sink observed ttl now bad
  evidence by_evidence discharged :
  session.judge (heyting.chain_caps root (caveats ++ more))
    (heyting.chain_obligations obligations (owed ++ more_owed)) op seen projected label sink
    observed ttl now bad evidence by_evidence discharged <=
  session.judge (heyting.chain_caps root caveats) (heyting.chain_obligations obligations owed) op
    seen projected label sink observed ttl now bad evidence by_evidence discharged.
Proof.
  apply no_verdict_rises_when_anything_gets_worse; auto using leq_refl; [apply down|].
  exact (up owed more_owed obligations).
Qed.

Theorem what_a_child_is_allowed_its_parent_is_allowed_at_any_depth
  root caveats more obligations owed more_owed op seen projected label sink observed ttl now bad
  evidence by_evidence discharged :
  session.judge (heyting.chain_caps root (caveats ++ more))
    (heyting.chain_obligations obligations (owed ++ more_owed)) op seen projected label sink
    observed ttl now bad evidence by_evidence discharged = verdict.ALLOW ->
  session.judge (heyting.chain_caps root caveats) (heyting.chain_obligations obligations owed) op
    seen projected label sink observed ttl now bad evidence by_evidence discharged = verdict.ALLOW.
Proof.
  intros H; pose proof (never_better_below root caveats more obligations owed more_owed op seen
    projected label sink observed ttl now bad evidence by_evidence discharged) as M.
  pose proof (every_call_gets_one_of_three_verdicts (heyting.chain_caps root caveats)
    (heyting.chain_obligations obligations owed) op seen projected label sink observed ttl now bad
    evidence by_evidence discharged) as T.
  cbv zeta in T; rewrite H in M; unfold verdict.DENY, verdict.ASK, verdict.ALLOW in *; lia.
Qed.

Theorem what_a_child_is_allowed_or_asked_its_parent_is_at_any_depth_whatever_is_discharged
  root caveats more obligations owed more_owed op seen projected label sink observed ttl now bad
  evidence by_evidence discharged other :
  session.judge (heyting.chain_caps root (caveats ++ more))
    (heyting.chain_obligations obligations (owed ++ more_owed)) op seen projected label sink
    observed ttl now bad evidence by_evidence discharged <> verdict.DENY ->
  session.judge (heyting.chain_caps root caveats) (heyting.chain_obligations obligations owed) op
    seen projected label sink observed ttl now bad evidence by_evidence other <> verdict.DENY.
Proof.
  intros H E; apply H; clear H.
  assert (Z : session.judge (heyting.chain_caps root caveats)
    (heyting.chain_obligations obligations owed) op seen projected label sink observed ttl now bad
    evidence by_evidence discharged = verdict.DENY).
  { revert E; unfold session.judge, verdict.verdict; cbv zeta.
    destruct (negb (_ =? 0)); auto; destruct (negb (_ =? 0)); discriminate. }
  pose proof (never_better_below root caveats more obligations owed more_owed op seen
    projected label sink observed ttl now bad evidence by_evidence discharged) as M.
  pose proof (every_call_gets_one_of_three_verdicts (heyting.chain_caps root (caveats ++ more))
    (heyting.chain_obligations obligations (owed ++ more_owed)) op seen projected label sink
    observed ttl now bad evidence by_evidence discharged) as T.
  cbv zeta in T; rewrite Z in M; unfold verdict.DENY, verdict.ASK, verdict.ALLOW in *; lia.
Qed.

(* 3. Fail closed. *)
Theorem no_approval_discharges_a_denial denied asked discharged :
  denied <> 0 -> verdict.verdict denied asked discharged = verdict.DENY.
Proof. unfold verdict.verdict; destruct (Z.eqb_spec denied 0); simpl; congruence. Qed.

Lemma lor_zero a b : Z.lor a b = 0 -> a = 0 /\ b = 0.
Proof. apply Z.lor_eq_0_iff. Qed.

Lemma asked_bit q x n : 0 <= n -> Z.land q (Z.lnot x) = 0 -> Z.testbit q n = true ->
  Z.testbit x n = true.
Proof. intros Hn H; apply (leq_bits q x); auto; unfold lattice.leq; now rewrite Z.eqb_eq. Qed.

Theorem an_allowed_call_has_passed_every_check
  caps obligations op seen projected label sink observed ttl now bad evidence by_evidence
  discharged :
  session.judge caps obligations op seen projected label sink observed ttl now bad evidence
    by_evidence discharged = verdict.ALLOW ->
  (* denials *)
  lattice.known op = true /\ sinks.known_sink sink = true /\
  lattice.level_of caps op > lattice.NEVER /\
  sinks.secret_to_exfil label sink = false /\ bad = false /\
  (* asks, each answered on its own *)
  (lattice.obliged obligations op = true -> Z.testbit discharged 0 = true) /\
  (lattice.level_of caps op = lattice.LOW_RISK -> evidence = false ->
    Z.testbit discharged 1 = true) /\
  (flow.meets label sink observed ttl now = false -> sinks.reversible sink = false ->
    by_evidence && evidence = false -> Z.testbit discharged 2 = true) /\
  (exposure.gates seen projected = true -> by_evidence && evidence = false ->
    Z.testbit discharged 3 = true).
Proof.
  unfold session.judge, verdict.verdict; cbv zeta.
  destruct (Z.eqb_spec (verdict.denied_for caps op label sink bad) 0) as [D|D];
    cbn [negb]; [|discriminate].
  match goal with |- context [negb (?q =? 0)] => destruct (Z.eqb_spec q 0) as [Q|Q];
    cbn [negb]; [|discriminate] end.
  intros _; unfold verdict.denied_for, verdict.asked_for in *; cbv zeta in D.
  pose proof (level_cases caps op) as LV.
  assert (KN : lattice.known op = false -> lattice.level_of caps op = 0)
    by (intros K; rewrite level_bits, K; reflexivity).
  destruct (sinks.known_sink sink); [|apply lor_zero in D; destruct D; discriminate].
  assert (A : lattice.level_of caps op <> 0 /\ sinks.secret_to_exfil label sink = false /\ bad = false).
  { revert D; destruct LV as [->|[->| ->]], (sinks.secret_to_exfil label sink), bad; vm_compute;
      intuition congruence. }
  destruct A as (A1 & A2 & A3).
  assert (KT : lattice.known op = true) by (destruct (lattice.known op); auto; exfalso; auto).
  unfold lattice.NEVER, lattice.LOW_RISK.
  repeat split; auto; try lia;
    match goal with |- context [Z.testbit discharged ?n] =>
      intros; apply (asked_bit _ discharged n ltac:(lia) Q) end;
    repeat match goal with H : ?x = _ |- context [?x] => rewrite H end;
    destruct LV as [E|[E|E]]; rewrite ?E in *; try congruence;
    destruct (lattice.obliged obligations op), (exposure.gates seen projected),
      (flow.meets label sink observed ttl now), (sinks.reversible sink), evidence, by_evidence;
    try discriminate; reflexivity.
Qed.

Theorem no_way_out_completes_the_uninhabitable_state_unasked
  caps obligations op seen steps projected label sink observed ttl now bad evidence discharged :
  exposure.complete (exposure.join (session.session_exposure seen steps) projected) = true ->
  projection.is_exfil_projection projected = true ->
  session.judge caps obligations op (session.session_exposure seen steps) projected label sink
    observed ttl now bad evidence false discharged = verdict.ALLOW ->
  Z.testbit discharged 3 = true.
Proof.
  intros C P J; apply an_allowed_call_has_passed_every_check in J.
  destruct J as (_ & _ & _ & _ & _ & _ & _ & _ & G); apply G; [|reflexivity].
  unfold exposure.gates, exposure.complete, exposure.join, projection.is_exfil_projection in *.
  now rewrite C, P.
Qed.
