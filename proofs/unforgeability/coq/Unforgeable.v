(* Law: what stands here are sentences about Model.v; a definition would change what they say.

   In all of them: the issuer's signing key and its exchange key are honest, the history [tr] is one
   that the rules of Model.v allow, and any other key may be corrupt. *)

Require Import List Arith Bool.
Import ListNotations.
Require Import Model Invariant.

(* 1. Parts. *)
Lemma signature_of issuer xk corrupt tr n m :
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  derives (knows issuer xk corrupt tr) (Sign n m) ->
  corrupt n = true \/ said issuer xk tr n m.
Proof.
  intros HI HX V D. destruct (derivable_is_safe _ _ _ HX _ _ V D) as [[S | S] _]; auto.
Qed.

Lemma said_by_a_person issuer xk tr n m :
  said issuer xk tr n m -> (forall b s1 s2, m <> SayHeader b s1 s2) -> In (Say n m) tr.
Proof. intros [S | (_ & b & _ & E)] N; [ assumption | exfalso; eapply N; exact E ]. Qed.

Lemma a_hop_in_a_held_chain id b cs k d :
  held id b cs k d -> forall before to d' sig after, cs = before ++ Hand to d' sig :: after ->
  exists j, sig = Sign j (SayHand (Digest id before) to d').
Proof.
  intros H. induction H; intros before to0 d0 sig after E.
  - destruct before; discriminate.
  - destruct after as [| c after _] using rev_ind.
    + apply app_inj_tail in E. destruct E. discriminate.
    + change (Hand to0 d0 sig :: after ++ [c]) with ((Hand to0 d0 sig :: after) ++ [c]) in E.
      rewrite app_assoc in E. apply app_inj_tail in E. destruct E as [-> _]. eapply IHheld. reflexivity.
  - destruct after as [| c after _] using rev_ind.
    + apply app_inj_tail in E. destruct E as [-> E]. injection E as -> -> <-. eauto.
    + change (Hand to0 d0 sig :: after ++ [c]) with ((Hand to0 d0 sig :: after) ++ [c]) in E.
      rewrite app_assoc in E. apply app_inj_tail in E. destruct E as [-> _]. eapply IHheld. reflexivity.
Qed.

Lemma restrictions_app xs ys : restrictions (xs ++ ys) = restrictions xs ++ restrictions ys.
Proof. induction xs as [| x xs IH]; simpl; auto. destruct x; simpl; rewrite ?IH; auto. Qed.

Lemma receivers_app xs ys : receivers (xs ++ ys) = receivers xs ++ receivers ys.
Proof. induction xs as [| x xs IH]; simpl; auto. destruct x; simpl; rewrite ?IH; auto. Qed.

Lemma restrictions_of_own ns : restrictions (map Restrict ns) = ns.
Proof. induction ns as [| n ns IH]; simpl; rewrite ?IH; auto. Qed.

Lemma valid_tail issuer xk corrupt e tr : valid issuer xk corrupt (e :: tr) -> valid issuer xk corrupt tr.
Proof. intros V. inversion V; assumption. Qed.

(* What the issuer had checked when it exchanged, as seen from any later moment. *)
Lemma exchange_was_checked issuer xk corrupt tr b cs b' :
  valid issuer xk corrupt tr -> In (Exchange b cs b') tr ->
  exists tr0 k d a nonce,
    valid issuer xk corrupt tr0 /\ incl tr0 tr /\ issued tr0 b
    /\ held (identifier issuer xk b) b cs (Some k) d
    /\ (forall c, In c cs -> derives (knows issuer xk corrupt tr0) c)
    /\ (derives (knows issuer xk corrupt tr0) (token issuer xk b cs) \/ In (Hold b cs) tr0)
    /\ derives (knows issuer xk corrupt tr0)
         (Sign k (SayExchange (Digest (identifier issuer xk b) cs) a nonce))
    /\ (exists rest, cs = map Restrict (appended b) ++ rest)
    /\ exchanged b cs k d a b'.
Proof.
  intros V. induction V; intros I; simpl in I; try contradiction; destruct I as [I | I];
    try discriminate;
    try (destruct (IHV I) as (tr0 & k0 & d0 & a0 & n0 & V0 & L & R); exists tr0, k0, d0, a0, n0;
         split; [ assumption | split; [ intros x X; right; apply L; assumption | exact R ] ]).
  injection I as -> -> ->. exists tr, k, d, a, nonce.
  repeat (split; [ first [ assumption | intros x X; right; assumption ] |]). assumption.
Qed.

(* 2. Sentences. *)
Theorem an_accepted_credential_was_issued_and_since_then_only_narrowed :
  forall issuer xk corrupt tr a id b cs k tag proof,
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  corrupt a = false -> accepts issuer a id b cs k tag proof ->
  derives (knows issuer xk corrupt tr) id -> derives (knows issuer xk corrupt tr) tag ->
  issued tr b /\ aud b = a /\ id = identifier issuer xk b
  /\ exists given added, cs = given ++ added /\ In (Show b given) tr
     /\ incl (demands b given) (demands b cs).
Proof.
  intros issuer xk corrupt tr a id b cs k tag proof HI HX V HA A D T.
  inversion A as [b0 s2 key cs0 q k0 d id0 H]; subst. unfold id0 in *.
  destruct (signature_of _ _ _ _ _ _ HI HX V D) as [C | S]; [ congruence |].
  destruct (issuer_says_headers _ _ _ _ _ V S) as (b1 & I & E).
  injection E as -> -> -> ->.
  split; [ assumption | split; [ reflexivity | split; [ reflexivity |] ] ].
  destruct (tag_extends_what_was_shown _ _ _ _ _ (cs0 ++ [Req q]) V I HA) as (given & added & E & Sh).
  - apply (derivable_is_safe _ _ _ HX _ _ V T).
  - exists given, added. split; [ assumption | split; [ assumption |] ].
    rewrite E. unfold demands. rewrite restrictions_app. intros x X.
    rewrite !in_app_iff in *. tauto.
Qed.

Theorem every_hop_was_signed_by_its_holder_over_the_whole_prefix :
  forall issuer xk corrupt tr a id b cs k tag proof before to d sig after,
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  accepts issuer a id b cs k tag proof ->
  (forall c, In c cs -> derives (knows issuer xk corrupt tr) c) ->
  cs = before ++ Hand to d sig :: after ->
  exists j, sig = Sign j (SayHand (Digest id before) to d)
    /\ (corrupt j = true \/ In (Say j (SayHand (Digest id before) to d)) tr).
Proof.
  intros issuer xk corrupt tr a id b cs k tag proof before to d sig after HI HX V A D.
  inversion A as [b0 s2 key cs0 q k0 d0 id0 H]; subst. intros E.
  destruct after as [| c after _] using rev_ind; [ apply app_inj_tail in E; destruct E; discriminate |].
  assert (F : cs0 = before ++ Hand to d sig :: after).
  { change (Hand to d sig :: after ++ [c]) with ((Hand to d sig :: after) ++ [c]) in E.
    rewrite app_assoc in E. apply app_inj_tail in E. tauto. }
  destruct (a_hop_in_a_held_chain _ _ _ _ _ H _ _ _ _ _ F) as (j & ->). exists j. split; [ reflexivity |].
  assert (S : derives (knows issuer xk corrupt tr) (Sign j (SayHand (Digest id0 before) to d))).
  { apply (unhand _ to d). apply D. rewrite F, !in_app_iff. left. right. left. reflexivity. }
  destruct (signature_of _ _ _ _ _ _ HI HX V S) as [C | W]; auto.
  right. eapply said_by_a_person; [ exact W |]. intros; discriminate.
Qed.

Theorem a_call_is_made_by_the_current_holder :
  forall issuer xk corrupt tr a id b cs k tag proof,
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  accepts issuer a id b cs k tag proof -> derives (knows issuer xk corrupt tr) proof ->
  corrupt k = true \/ In (Say k (SayProof (Digest id cs))) tr.
Proof.
  intros issuer xk corrupt tr a id b cs k tag proof HI HX V A D.
  inversion A as [b0 s2 key cs0 q k0 d0 id0 H]; subst.
  destruct (signature_of _ _ _ _ _ _ HI HX V D) as [C | W]; auto.
  right. eapply said_by_a_person; [ exact W |]. intros; discriminate.
Qed.

Theorem no_seal_is_substituted :
  forall issuer xk corrupt tr b s1 s2,
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  derives (knows issuer xk corrupt tr) (Sign issuer (SayHeader b s1 s2)) ->
  issued tr b /\ s1 = Seal (aud b) (Root (root b)) /\ s2 = Seal xk (Root (root b)).
Proof.
  intros issuer xk corrupt tr b s1 s2 HI HX V D.
  destruct (signature_of _ _ _ _ _ _ HI HX V D) as [C | S]; [ congruence |].
  destruct (issuer_says_headers _ _ _ _ _ V S) as (b1 & I & E).
  injection E as -> -> ->. auto.
Qed.

Theorem a_root_key_stays_with_the_issuer_and_its_audience :
  forall issuer xk corrupt tr b,
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  issued tr b -> corrupt (aud b) = false ->
  ~ derives (knows issuer xk corrupt tr) (Root (root b)).
Proof.
  intros issuer xk corrupt tr b HI HX V I C D.
  destruct (derivable_is_safe _ _ _ HX _ _ V D) as (b1 & I1 & E & C1).
  rewrite (one_header_per_root _ _ _ _ _ _ V I1 I E) in C1. congruence.
Qed.

Theorem an_approval_comes_from_an_approver :
  forall issuer xk corrupt tr p r what,
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  derives (knows issuer xk corrupt tr) (Sign p (SayApproval r what)) ->
  corrupt p = true \/ In (Say p (SayApproval r what)) tr.
Proof.
  intros issuer xk corrupt tr p r what HI HX V D.
  destruct (signature_of _ _ _ _ _ _ HI HX V D) as [C | W]; auto.
  right. eapply said_by_a_person; [ exact W |]. intros; discriminate.
Qed.

Theorem an_approval_serves_one_prefix_of_one_token :
  forall issuer xk b cs b' cs',
  Rid (token issuer xk b cs) = Rid (token issuer xk b' cs') -> b = b' /\ cs = cs'.
Proof.
  intros issuer xk b cs b' cs' H. injection H as H.
  destruct (tag_injective _ _ _ _ _ _ H) as (_ & Id & ->). injection Id as ->. auto.
Qed.

Theorem an_exchange_was_asked_for_by_the_holder_of_that_very_prefix :
  forall issuer xk corrupt tr b cs b',
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  In (Exchange b cs b') tr ->
  exists k, holder b' = Some k
    /\ (corrupt k = true
        \/ exists nonce, In (Say k (SayExchange (Digest (identifier issuer xk b) cs) (aud b') nonce)) tr).
Proof.
  intros issuer xk corrupt tr b cs b' HI HX V I.
  destruct (exchange_was_checked _ _ _ _ _ _ _ V I)
    as (tr0 & k & d & a & nonce & V0 & L & _ & _ & _ & _ & D & _ & X).
  destruct X as (<- & HK & _). exists k. split; [ assumption |].
  destruct (signature_of _ _ _ _ _ _ HI HX V0 D) as [C | W]; auto.
  right. exists nonce. apply L. eapply said_by_a_person; [ exact W |]. intros; discriminate.
Qed.

Theorem an_exchange_drops_no_demand_and_forgets_no_holder :
  forall issuer xk corrupt tr b cs b',
  valid issuer xk corrupt tr -> In (Exchange b cs b') tr ->
  demands b' [] = demands b cs
  /\ forall more, incl (holders b cs) (holders b' more).
Proof.
  intros issuer xk corrupt tr b cs b' V I.
  destruct (exchange_was_checked _ _ _ _ _ _ _ V I)
    as (tr0 & k & d & a & nonce & _ & _ & _ & _ & _ & _ & _ & _ & X).
  destruct X as (_ & _ & _ & HC & HN & HE & _). split.
  - unfold demands. rewrite HC, HN. simpl. rewrite app_nil_r. reflexivity.
  - intros more x Hx. unfold holders at 1. rewrite HE. apply in_or_app. left. assumption.
Qed.

Theorem what_is_exchanged_at_an_honest_audience_was_given_out_and_since_then_only_narrowed :
  forall issuer xk corrupt tr b cs b',
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  In (Exchange b cs b') tr -> corrupt (aud b) = false ->
  exists given added, cs = given ++ added /\ (In (Show b given) tr \/ In (Hold b given) tr).
Proof.
  intros issuer xk corrupt tr b cs b' HI HX V I C.
  destruct (exchange_was_checked _ _ _ _ _ _ _ V I)
    as (tr0 & k & d & a & nonce & V0 & L & I0 & _ & _ & [T | T] & _).
  - destruct (tag_extends_what_was_shown _ _ _ _ _ cs V0 I0 C) as (given & added & E & Sh).
    + apply (derivable_is_safe _ _ _ HX _ _ V0 T).
    + exists given, added. split; [ assumption |]. left. apply L. assumption.
  - exists cs, []. rewrite app_nil_r. split; [ reflexivity |]. right. apply L. assumption.
Qed.

(* The audience of the token before may be corrupt here: it knows the root key. *)
Theorem a_broken_audience_carries_nothing_elsewhere :
  forall issuer xk corrupt tr b cs b' before to d sig after,
  corrupt issuer = false -> corrupt xk = false -> valid issuer xk corrupt tr ->
  In (Exchange b cs b') tr ->
  incl (appended b) (narrowed b')
  /\ (cs = before ++ Hand to d sig :: after ->
      exists j, sig = Sign j (SayHand (Digest (identifier issuer xk b) before) to d)
        /\ (corrupt j = true
            \/ In (Say j (SayHand (Digest (identifier issuer xk b) before) to d)) tr)).
Proof.
  intros issuer xk corrupt tr b cs b' before to d sig after HI HX V I.
  destruct (exchange_was_checked _ _ _ _ _ _ _ V I)
    as (tr0 & k & d0 & a & nonce & V0 & L & _ & HH & D & _ & _ & (rest & E) & X).
  destruct X as (_ & _ & _ & _ & HN & _). split.
  - rewrite HN, E, restrictions_app, restrictions_of_own. intros x Hx.
    rewrite !in_app_iff. auto.
  - intros F. destruct (a_hop_in_a_held_chain _ _ _ _ _ HH _ _ _ _ _ F) as (j & ->).
    exists j. split; [ reflexivity |].
    assert (S : derives (knows issuer xk corrupt tr0)
                  (Sign j (SayHand (Digest (identifier issuer xk b) before) to d))).
    { apply (unhand _ to d). apply D. rewrite F, in_app_iff. right. left. reflexivity. }
    destruct (signature_of _ _ _ _ _ _ HI HX V0 S) as [C | W]; auto.
    right. apply L. eapply said_by_a_person; [ exact W |]. intros; discriminate.
Qed.

Theorem nothing_exceeds_what_the_issuer_was_ordered_to_issue :
  forall issuer xk corrupt tr b,
  valid issuer xk corrupt tr -> issued tr b ->
  exists first, In (Issue first) tr /\ ceil b = ceil first
    /\ (b = first \/ incl (appended first) (narrowed b)).
Proof.
  intros issuer xk corrupt tr b V. revert b. induction V; intros x I.
  - destruct I as [[] | (? & ? & [])].
  - destruct (issued_of _ _ _ I) as [J | [J | (y & z & J)]]; try discriminate.
    + destruct (IHV _ J) as (f & F & R). exists f. split; [ right |]; assumption.
    + injection J as <-. exists b. split; [ left; reflexivity |]. auto.
  - destruct (issued_of _ _ _ I) as [J | [J | (y & z & J)]]; try discriminate.
    destruct (IHV _ J) as (f & F & R). exists f. split; [ right |]; assumption.
  - destruct (issued_of _ _ _ I) as [J | [J | (y & z & J)]]; try discriminate.
    destruct (IHV _ J) as (f & F & R). exists f. split; [ right |]; assumption.
  - destruct (issued_of _ _ _ I) as [J | [J | (y & z & J)]]; try discriminate.
    destruct (IHV _ J) as (f & F & R). exists f. split; [ right |]; assumption.
  - destruct (issued_of _ _ _ I) as [J | [J | (y & z & J)]]; try discriminate.
    + destruct (IHV _ J) as (f & F & R). exists f. split; [ right |]; assumption.
    + injection J as _ _ <-. destruct (IHV _ H) as (f & F & R & W).
      destruct H5 as (rest & E). destruct H6 as (_ & _ & _ & HC & HN & _).
      exists f. split; [ right; assumption |]. split; [ congruence |]. right. rewrite HN.
      destruct W as [-> | W].
      * rewrite E, restrictions_app, restrictions_of_own. intros w Hw. rewrite !in_app_iff. auto.
      * intros w Hw. apply in_or_app. left. auto.
Qed.

(* The hypotheses above can hold: a corrupt agent that was given a token makes a call with it. *)
Theorem an_agent_can_use_what_it_was_given :
  exists issuer xk corrupt tr a id b cs k tag proof,
  corrupt issuer = false /\ corrupt xk = false /\ valid issuer xk corrupt tr
  /\ corrupt a = false /\ accepts issuer a id b cs k tag proof
  /\ derives (knows issuer xk corrupt tr) id /\ derives (knows issuer xk corrupt tr) tag
  /\ derives (knows issuer xk corrupt tr) proof.
Proof.
  set (b := {| aud := 3; holder := Some 4; depth := 1; ceil := [7]; narrowed := []; earlier := [];
               root := 0; appended := [] |}).
  exists 1, 2, (fun n => n =? 4), [Show b []; Issue b], 3, (identifier 1 2 b), b, ([] ++ [Req 0]), 4,
    (token 1 2 b [Req 0]), (Sign 4 (SayProof (Digest (identifier 1 2 b) ([] ++ [Req 0])))).
  split; [ reflexivity |]. split; [ reflexivity |].
  split.
  { apply show; [ apply issue; [ constructor | intros x [[] | (? & ? & [])] | reflexivity | reflexivity ]
                | left; left; reflexivity | intros c [] ]. }
  split; [ reflexivity |].
  split; [ exact (accept 1 3 b (Seal 2 (Root 0)) (Root 0) [] 0 4 1 (held_first _ _)) |].
  split.
  { apply known. left. exists b. split; [ left; right; left; reflexivity | reflexivity ]. }
  split.
  { unfold token, tag_of. simpl. apply mac; [| apply req ].
    apply known. right. left. exists b, []. split; [ left |]; reflexivity. }
  apply sign; [| apply say_proof; apply digest ].
  apply known. right. right. right. exists 4. split; reflexivity.
Qed.
