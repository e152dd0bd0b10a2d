(* Law: whatever an attacker can derive is [safe]; the theorems read off what that means. *)

Require Import List Arith Bool.
Import ListNotations.
Require Import Model.

(* 1. A tag names its key, its identifier and every caveat. *)
Lemma tag_snoc key id cs c : tag_of key id (cs ++ [c]) = Mac (tag_of key id cs) c.
Proof. unfold tag_of. rewrite fold_left_app. reflexivity. Qed.

Lemma tag_is_a_mac key id cs : exists k m, tag_of key id cs = Mac k m.
Proof.
  destruct cs as [| c cs] using rev_ind; [ exists key, id; reflexivity |].
  rewrite tag_snoc. eauto.
Qed.

Lemma tag_injective r id cs : forall r' id' cs',
  tag_of (Root r) id cs = tag_of (Root r') id' cs' -> r = r' /\ id = id' /\ cs = cs'.
Proof.
  induction cs as [| c cs IH] using rev_ind; intros r' id' cs' H.
  - destruct cs' as [| c' cs' _] using rev_ind.
    + injection H. auto.
    + rewrite tag_snoc in H. destruct (tag_is_a_mac (Root r') id' cs') as (k & m & E).
      rewrite E in H. discriminate.
  - destruct cs' as [| c' cs' _] using rev_ind.
    + rewrite tag_snoc in H. destruct (tag_is_a_mac (Root r) id cs) as (k & m & E).
      rewrite E in H. discriminate.
    + rewrite !tag_snoc in H. injection H as H Hc. subst.
      destruct (IH _ _ _ H) as (-> & -> & ->). auto.
Qed.

Section World.
Variable issuer exchange_key : nat.
Variable corrupt : nat -> bool.

Hypothesis exchange_honest : corrupt exchange_key = false.

Notation identifier := (identifier issuer exchange_key).
Notation token := (token issuer exchange_key).
Notation knows := (knows issuer exchange_key corrupt).
Notation valid := (valid issuer exchange_key corrupt).

(* 2. What was said, shown and given away. *)
Definition said (tr : list event) (n : nat) (m : term) : Prop :=
  In (Say n m) tr
  \/ (n = issuer /\ exists b, issued tr b
      /\ m = SayHeader b (Seal (aud b) (Root (root b))) (Seal exchange_key (Root (root b)))).

Definition shown (tr : list event) (t : term) : Prop :=
  exists b cs, In (Show b cs) tr /\ t = token b cs.

Definition leaked (tr : list event) (r : nat) : Prop :=
  exists b, issued tr b /\ root b = r /\ corrupt (aud b) = true.

Fixpoint safe (tr : list event) (t : term) : Prop :=
  match t with
  | Priv n => corrupt n = true
  | Root r => leaked tr r
  | Pair a b => safe tr a /\ safe tr b
  | Mac k m => shown tr (Mac k m) \/ safe tr k
  | Sign n m => (said tr n m \/ corrupt n = true) /\ safe tr m
  | Seal n m => corrupt n = false \/ safe tr m
  | Hand _ _ s => safe tr s
  | SayHeader _ s1 s2 => safe tr s1 /\ safe tr s2
  | SayHand g _ _ | SayProof g | SayApproval g _ | SayExchange g _ _ => safe tr g
  | Public _ | Digest _ _ | Rid _ | Restrict _ | Req _ => True
  end.

Lemma safe_closed tr t : (forall u, knows tr u -> safe tr u) -> derives (knows tr) t -> safe tr t.
Proof.
  intros base H. induction H; simpl in *; auto; try tauto.
  destruct IHderives1; [ congruence | assumption ].
Qed.

(* 3. It only grows. *)
Lemma issued_grows tr e b : issued tr b -> issued (e :: tr) b.
Proof. intros [H | (b0 & cs & H)]; [ left | right; exists b0, cs ]; right; assumption. Qed.

Lemma safe_grows tr e t : safe tr t -> safe (e :: tr) t.
Proof.
  induction t; simpl; auto; try tauto;
    [ intros (b & H & E & C); exists b; split; [ apply issued_grows |]; auto
    | intros [(b & cs & H & E) | H]; [ left | right; auto ];
      exists b, cs; split; [ right |]; auto
    | intros [[[H | (-> & b & H & E)] | H] S]; split; auto; left;
      [ left; right; assumption
      | right; split; auto; exists b; split; [ apply issued_grows |]; auto ] ].
Qed.

Lemma knows_of tr e t : knows (e :: tr) t ->
  knows tr t
  \/ (exists b, e = Issue b /\ t = identifier b)
  \/ (exists b cs b', e = Exchange b cs b' /\ t = identifier b')
  \/ (exists b cs, e = Show b cs /\ t = token b cs)
  \/ (exists n m, e = Say n m /\ t = Sign n m).
Proof.
  intros [(b & [[H | H] | (b0 & cs & [H | H])] & E) | [(b & cs & [H | H] & E) | [(n & m & [H | H] & E) | H]]].
  - right; left; eauto.
  - left; left. exists b. split; [ left |]; auto.
  - right; right; left; eauto.
  - left; left. exists b. split; [ right |]; eauto.
  - right; right; right; left; eauto.
  - left; right; left; eauto.
  - right; right; right; right; eauto.
  - left; right; right; left; eauto.
  - left; right; right; right. assumption.
Qed.

Lemma identifier_safe tr b : issued tr b -> safe tr (identifier b).
Proof.
  intros H. simpl. split.
  - left; right. split; auto. exists b. auto.
  - split; [| left; assumption ].
    destruct (corrupt (aud b)) eqn:C; [ right | left; reflexivity ].
    exists b. auto.
Qed.

Lemma tag_safe tr b cs : In (Show b cs) tr -> safe tr (token b cs).
Proof.
  intros H. destruct (tag_is_a_mac (Root (root b)) (identifier b) cs) as (k & m & E).
  unfold Model.token. rewrite E. simpl. left. exists b, cs. split; [ assumption | symmetry; exact E ].
Qed.

Theorem everything_known_is_safe tr : valid tr -> forall t, knows tr t -> safe tr t.
Proof.
  intros V. induction V; intros t K.
  - destruct K as [(b & [[] | (b0 & cs & [])] & E) | [(b & cs & [] & E) | [(n & m & [] & E) | (n & C & ->)]]].
    exact C.
  - destruct (knows_of _ _ _ K) as [Q | [(b9 & E & ->) | [(x & y & z & E & _) | [(x & y & E & _) | (x & y & E & _)]]]];
      try discriminate; [ apply safe_grows; auto |].
    injection E as <-. apply identifier_safe. left. left. reflexivity.
  - destruct (knows_of _ _ _ K) as [Q | [(b9 & E & ->) | [(x & y & z & E & _) | [(x & y & E & _) | (x & y & E & _)]]]];
      try discriminate. apply safe_grows; auto.
  - destruct (knows_of _ _ _ K) as [Q | [(b9 & E & ->) | [(x & y & z & E & _) | [(x & y & E & ->) | (x & y & E & _)]]]];
      try discriminate; [ apply safe_grows; auto |].
    injection E as <- <-. apply tag_safe. left. reflexivity.
  - destruct (knows_of _ _ _ K) as [Q | [(b9 & E & ->) | [(x & y & z & E & _) | [(x & y & E & _) | (x & y & E & ->)]]]];
      try discriminate; [ apply safe_grows; auto |].
    injection E as <- <-. simpl. split; [ left; left; left; reflexivity |].
    apply safe_grows. apply safe_closed; auto.
  - destruct (knows_of _ _ _ K) as [Q | [(b9 & E & ->) | [(x & y & z & E & ->) | [(x & y & E & _) | (x & y & E & _)]]]];
      try discriminate; [ apply safe_grows; auto |].
    injection E as <- <- <-. apply identifier_safe. right. exists b, cs. left. reflexivity.
Qed.

Lemma derivable_is_safe tr t : valid tr -> derives (knows tr) t -> safe tr t.
Proof. intros V. apply safe_closed. apply everything_known_is_safe. assumption. Qed.

(* 4. What the issuer signed is one header per root key. *)
Lemma issuer_says_headers tr m :
  valid tr -> said tr issuer m ->
  exists b, issued tr b
    /\ m = SayHeader b (Seal (aud b) (Root (root b))) (Seal exchange_key (Root (root b))).
Proof.
  intros V [H | (_ & H)]; [| exact H ]. exfalso. revert m H.
  induction V; intros m0 Q; simpl in Q; try contradiction; destruct Q as [Q | Q];
    try discriminate; try (eapply IHV; eassumption).
  injection Q as -> _. congruence.
Qed.

Lemma issued_of tr e b : issued (e :: tr) b ->
  issued tr b \/ e = Issue b \/ exists b0 cs, e = Exchange b0 cs b.
Proof.
  intros [[H | H] | (b0 & cs & [H | H])]; [ right; left | left; left | right; right | left; right ]; eauto.
Qed.

Lemma one_header_per_root tr b b' :
  valid tr -> issued tr b -> issued tr b' -> root b = root b' -> b = b'.
Proof.
  intros V. induction V; intros I1 I2 E.
  - destruct I1 as [[] | (? & ? & [])].
  - destruct (issued_of _ _ _ I1) as [J1 | [J1 | (x & y & J1)]];
    destruct (issued_of _ _ _ I2) as [J2 | [J2 | (x' & y' & J2)]]; try discriminate; auto.
    + injection J2 as <-. exfalso. eapply H; eauto.
    + injection J1 as <-. exfalso. eapply H; eauto.
    + congruence.
  - destruct (issued_of _ _ _ I1) as [J1 | [J1 | (x & y & J1)]];
    destruct (issued_of _ _ _ I2) as [J2 | [J2 | (x' & y' & J2)]]; try discriminate; auto.
  - destruct (issued_of _ _ _ I1) as [J1 | [J1 | (x & y & J1)]];
    destruct (issued_of _ _ _ I2) as [J2 | [J2 | (x' & y' & J2)]]; try discriminate; auto.
  - destruct (issued_of _ _ _ I1) as [J1 | [J1 | (x & y & J1)]];
    destruct (issued_of _ _ _ I2) as [J2 | [J2 | (x' & y' & J2)]]; try discriminate; auto.
  - destruct (issued_of _ _ _ I1) as [J1 | [J1 | (x & y & J1)]];
    destruct (issued_of _ _ _ I2) as [J2 | [J2 | (x' & y' & J2)]]; try discriminate; auto.
    + injection J2 as _ _ <-. exfalso. eapply H0; eauto.
    + injection J1 as _ _ <-. exfalso. eapply H0; eauto.
    + congruence.
Qed.

(* 5. A tag under a root key that did not leak extends one that was shown. *)
Lemma tag_extends_what_was_shown tr b cs :
  valid tr -> issued tr b -> corrupt (aud b) = false ->
  safe tr (tag_of (Root (root b)) (identifier b) cs) ->
  exists cs0 ds, cs = cs0 ++ ds /\ In (Show b cs0) tr.
Proof.
  intros V I C. induction cs as [| c cs IH] using rev_ind; intros S.
  - destruct S as [(b1 & cs1 & H & E) | (b1 & H & E & C1)].
    + exists [], []. split; auto. destruct (tag_injective _ _ [] _ _ _ E) as (R & Id & <-).
      assert (b = b1) as -> by (injection Id; auto). assumption.
    + exfalso. rewrite (one_header_per_root _ _ _ V H I E) in C1. congruence.
  - rewrite tag_snoc in S. destruct S as [(b1 & cs1 & H & E) | S].
    + rewrite <- tag_snoc in E. destruct (tag_injective _ _ _ _ _ _ E) as (R & Id & <-).
      exists (cs ++ [c]), []. rewrite app_nil_r. split; auto.
      assert (b = b1) as -> by (injection Id; auto). assumption.
    + destruct (IH S) as (cs0 & ds & -> & H). exists cs0, (ds ++ [c]).
      rewrite app_assoc. auto.
Qed.

End World.
