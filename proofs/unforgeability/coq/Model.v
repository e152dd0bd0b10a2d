(* Law: what an attacker can say, what the issuer, holders and approvers do, and what a verifier
   accepts. Terms instead of bytes: a MAC, a signature and a seal are constructors, so cryptography
   is perfect, encodings are injective and each kind of signed message has a domain of its own.

   Nothing is bounded: any number of tokens, holders, hops, caveats, statements and exchanges, in any
   order, with any set of corrupt keys. Theorems stand in Unforgeable.v. *)

Require Import List Arith Bool.
Import ListNotations.

(* What a header says. [root] names the fresh root key sealed in it; naming it reveals nothing.
   [appended] is what the issuer's inventory says it appended itself before it gave the token out. *)
Record body := {
  aud : nat;
  holder : option nat;
  depth : nat;
  ceil : list nat;
  narrowed : list nat;
  earlier : list nat;
  root : nat;
  appended : list nat
}.

Inductive term :=
| Public (n : nat)
| Priv (n : nat)
| Root (n : nat)
| Pair (a b : term)
| Mac (k m : term)
| Sign (n : nat) (m : term)
| Seal (n : nat) (m : term)
| Digest (id : term) (caveats : list term)
| Rid (tag : term)
| Restrict (n : nat)
| Hand (to d : nat) (sig : term)
| Req (n : nat)
| SayHeader (b : body) (audience_seal issuer_seal : term)
| SayHand (digest : term) (to d : nat)
| SayProof (digest : term)
| SayApproval (rid : term) (what : nat)
| SayExchange (digest : term) (audience nonce : nat).

(* 1. The attacker (Dolev and Yao): everything that follows from what it knows. Digests and
   revocation ids are free, which is more than an attacker has. *)
Inductive derives (K : term -> Prop) : term -> Prop :=
| known t : K t -> derives K t
| public n : derives K (Public n)
| restrict n : derives K (Restrict n)
| req n : derives K (Req n)
| digest id cs : derives K (Digest id cs)
| rid t : derives K (Rid t)
| pair a b : derives K a -> derives K b -> derives K (Pair a b)
| first a b : derives K (Pair a b) -> derives K a
| second a b : derives K (Pair a b) -> derives K b
| mac k m : derives K k -> derives K m -> derives K (Mac k m)
| sign n m : derives K (Priv n) -> derives K m -> derives K (Sign n m)
| read n m : derives K (Sign n m) -> derives K m
| seal n m : derives K m -> derives K (Seal n m)
| unseal n m : derives K (Seal n m) -> derives K (Priv n) -> derives K m
| hand to d s : derives K s -> derives K (Hand to d s)
| unhand to d s : derives K (Hand to d s) -> derives K s
| header b s1 s2 : derives K s1 -> derives K s2 -> derives K (SayHeader b s1 s2)
| header_1 b s1 s2 : derives K (SayHeader b s1 s2) -> derives K s1
| header_2 b s1 s2 : derives K (SayHeader b s1 s2) -> derives K s2
| say_hand g to d : derives K g -> derives K (SayHand g to d)
| say_proof g : derives K g -> derives K (SayProof g)
| say_approval g w : derives K g -> derives K (SayApproval g w)
| say_exchange g a n : derives K g -> derives K (SayExchange g a n).

(* 2. The format. *)
Definition tag_of (key id : term) (cs : list term) : term := fold_left Mac cs (Mac key id).

Section World.
Variable issuer exchange_key : nat.
Variable corrupt : nat -> bool.

Definition identifier (b : body) : term :=
  Sign issuer
    (SayHeader b (Seal (aud b) (Root (root b))) (Seal exchange_key (Root (root b)))).

Definition token (b : body) (cs : list term) : term := tag_of (Root (root b)) (identifier b) cs.

(* Who holds a chain, and how many hops are left. Each hop is signed by its holder over the whole
   prefix, and the depth falls. *)
Inductive held (id : term) (b : body) : list term -> option nat -> nat -> Prop :=
| held_first : held id b [] (holder b) (depth b)
| held_restrict cs k d n : held id b cs k d -> held id b (cs ++ [Restrict n]) k d
| held_hand cs k d to d' :
    held id b cs (Some k) d -> d' < d ->
    held id b (cs ++ [Hand to d' (Sign k (SayHand (Digest id cs) to d'))]) (Some to) d'.

(* What a verifier of audience [a] takes for a call: an identifier its pinned issuer signed, whose
   seal it opens, a tag that holds under what the seal held, hops that hold, a request, and the
   current holder's proof over all of it. *)
Inductive accepts (a : nat) : term -> body -> list term -> nat -> term -> term -> Prop :=
| accept b s2 key cs q k d :
    let id := Sign issuer (SayHeader b (Seal a key) s2) in
    held id b cs (Some k) d ->
    accepts a id b (cs ++ [Req q]) k
      (tag_of key id (cs ++ [Req q]))
      (Sign k (SayProof (Digest id (cs ++ [Req q])))).

(* 3. What a token demands of a call: the issuer's words, what an exchange carried over, and what
   was appended. More demands are less authority. *)
Fixpoint restrictions (cs : list term) : list nat :=
  match cs with
  | [] => []
  | Restrict n :: rest => n :: restrictions rest
  | _ :: rest => restrictions rest
  end.

Definition demands (b : body) (cs : list term) : list nat :=
  ceil b ++ narrowed b ++ restrictions cs.

Fixpoint receivers (cs : list term) : list nat :=
  match cs with
  | [] => []
  | Hand to _ _ :: rest => to :: receivers rest
  | _ :: rest => receivers rest
  end.

(* Whose keys may not approve: everybody who held it, before an exchange too. *)
Definition holders (b : body) (cs : list term) : list nat :=
  earlier b ++ match holder b with Some k => [k] | None => [] end ++ receivers cs.

(* 4. What happens. *)
Inductive event :=
| Issue (b : body)                       (* the issuer mints from an order *)
| Hold (b : body) (cs : list term)       (* somebody honest has this token *)
| Show (b : body) (cs : list term)       (* the attacker gets it, tag and all *)
| Say (n : nat) (m : term)               (* an honest key signs, and the attacker hears it *)
| Exchange (b : body) (cs : list term) (b' : body).

Definition issued (tr : list event) (b : body) : Prop :=
  In (Issue b) tr \/ exists b0 cs, In (Exchange b0 cs b) tr.

Definition knows (tr : list event) (t : term) : Prop :=
  (exists b, issued tr b /\ t = identifier b)
  \/ (exists b cs, In (Show b cs) tr /\ t = token b cs)
  \/ (exists n m, In (Say n m) tr /\ t = Sign n m)
  \/ (exists n, corrupt n = true /\ t = Priv n).

Definition fresh (tr : list event) (r : nat) : Prop := forall b, issued tr b -> root b <> r.

(* What the issuer checks and makes when it exchanges: the holder asked for this very prefix, its own
   caveats are still there, and the new header carries everything over. *)
Definition exchanged (b : body) (cs : list term) (k d a : nat) (b' : body) : Prop :=
  aud b' = a /\ holder b' = Some k /\ depth b' = d /\ ceil b' = ceil b
  /\ narrowed b' = narrowed b ++ restrictions cs
  /\ earlier b' = holders b cs /\ appended b' = [].

Inductive valid : list event -> Prop :=
| nothing : valid []
| issue tr b :
    valid tr -> fresh tr (root b) -> narrowed b = [] -> earlier b = [] -> valid (Issue b :: tr)
| hold tr b cs : valid tr -> issued tr b -> valid (Hold b cs :: tr)
| show tr b cs :
    valid tr -> issued tr b -> (forall c, In c cs -> derives (knows tr) c) ->
    valid (Show b cs :: tr)
| say tr n m :
    valid tr -> n <> issuer -> corrupt n = false -> derives (knows tr) m -> valid (Say n m :: tr)
| exchange tr b cs k d a nonce b' :
    valid tr -> issued tr b -> fresh tr (root b') ->
    held (identifier b) b cs (Some k) d ->
    (forall c, In c cs -> derives (knows tr) c) ->
    derives (knows tr) (token b cs) \/ In (Hold b cs) tr ->
    derives (knows tr) (Sign k (SayExchange (Digest (identifier b) cs) a nonce)) ->
    (exists rest, cs = map Restrict (appended b) ++ rest) ->
    exchanged b cs k d a b' ->
    valid (Exchange b cs b' :: tr).

End World.
