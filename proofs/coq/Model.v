(* Law: this is what the words mean: thirteen dimensions by name, levels as a type, tables as
   tables. It was written from the definitions and knows nothing of how the kernel packs numbers.

   Refine*.v prove that the kernel computes exactly this; the same text, extracted to OCaml, is the
   oracle that the running Python is compared with. *)
From Coq Require Import ZArith List Bool.
Import ListNotations.
Open Scope Z_scope.

(* 1. Levels and operations. *)
Inductive level := Never | LowRisk | Always.

Inductive operation :=
  | ReadFiles | WriteFiles | EditFiles | RunBash | GlobSearch | GrepSearch | WebSearch | WebFetch
  | GitCommit | GitPush | CreatePr | ManagePods | SpawnAgent.

Definition operations : list operation :=
  [ReadFiles; WriteFiles; EditFiles; RunBash; GlobSearch; GrepSearch; WebSearch; WebFetch;
   GitCommit; GitPush; CreatePr; ManagePods; SpawnAgent].

(* never < low_risk < always *)
Definition within (a b : level) : bool :=
  match a, b with
  | Never, _ | LowRisk, LowRisk | LowRisk, Always | Always, Always => true
  | _, _ => false
  end.
Definition lesser (a b : level) : level := if within a b then a else b.
Definition greater (a b : level) : level := if within a b then b else a.
(* always where a <= b, else b *)
Definition level_arrow (a b : level) : level := if within a b then Always else b.
Definition granted_level (a : level) : bool := within LowRisk a.

(* 2. Capabilities: a level for every operation. *)
Definition capability := operation -> level.
Definition group := operation -> bool.
Definition top : capability := fun _ => Always.
Definition bottom : capability := fun _ => Never.

Definition meet (a b : capability) : capability := fun o => lesser (a o) (b o).
Definition join (a b : capability) : capability := fun o => greater (a o) (b o).
Definition everywhere (test : operation -> bool) : bool := forallb test operations.
Definition somewhere (test : operation -> bool) : bool := existsb test operations.
Definition leq (a b : capability) : bool := everywhere (fun o => within (a o) (b o)).
Definition implies (a b : capability) : capability := fun o => level_arrow (a o) (b o).
Definition neg (a : capability) : capability := implies a bottom.

(* What is granted at all; an operation nobody listed is never. *)
Definition granted (a : capability) : group := fun o => granted_level (a o).
Definition level_of (a : capability) (o : option operation) : level :=
  match o with Some o => a o | None => Never end.
Definition same (o p : operation) : bool :=
  match o, p with
  | ReadFiles, ReadFiles | WriteFiles, WriteFiles | EditFiles, EditFiles | RunBash, RunBash
  | GlobSearch, GlobSearch | GrepSearch, GrepSearch | WebSearch, WebSearch | WebFetch, WebFetch
  | GitCommit, GitCommit | GitPush, GitPush | CreatePr, CreatePr | ManagePods, ManagePods
  | SpawnAgent, SpawnAgent => true
  | _, _ => false
  end.
Definition is (o : option operation) (p : operation) : bool :=
  match o with Some o => same o p | None => false end.
(* A level that does not exist is nothing. *)
Definition with_level (o : option operation) (l : option level) : capability :=
  fun p => if is o p then match l with Some l => l | None => Never end else Never.
Definition set_level (a : capability) (o : option operation) (l : option level) : capability :=
  fun p => if is o p then match l with Some l => l | None => Never end else a p.

(* 3. Groups. *)
Definition reads : group := fun o => match o with ReadFiles | GlobSearch | GrepSearch => true | _ => false end.
Definition writes : group := fun o => match o with WriteFiles | EditFiles => true | _ => false end.
Definition execution : group := fun o => match o with RunBash => true | _ => false end.
Definition network : group := fun o => match o with WebSearch | WebFetch => true | _ => false end.
Definition git : group := fun o => match o with GitCommit | GitPush | CreatePr => true | _ => false end.
Definition infra : group := fun o => match o with ManagePods | SpawnAgent => true | _ => false end.

Definition project (a : capability) (g : group) : capability := fun o => if g o then a o else Never.
Definition inject (a source : capability) (g : group) : capability :=
  fun o => if g o then source o else a o.
Definition merge_from (a source : capability) (g : group) : capability :=
  fun o => if g o then greater (a o) (source o) else a o.
Definition read_only (a : capability) : capability :=
  meet a (fun o => if reads o || network o then Always else Never).

(* 4. Entailment, conditions, the modal operators, the bridge over a boundary k. *)
Definition entails (a b : capability) : bool := leq a b.
Definition condition_satisfied (p premise consequence : capability) : bool :=
  leq p (implies premise consequence).
Definition condition_apply (p premise consequence : capability) : capability :=
  if leq premise p then meet p consequence else bottom.
Definition obligations := operation -> bool.
Definition spread (s : obligations) : capability := fun o => if s o then Always else Never.
Definition box (a : capability) (owed : obligations) : capability :=
  fun o => if owed o then Never else a o.
Definition diamond (a ceiling : capability) : capability := join a ceiling.
Definition requires_escalation (a target : capability) : bool := negb (leq target a).
Definition alpha (a k : capability) : capability := meet a k.
Definition gamma (a k : capability) : capability := implies k a.
Definition closure (a k : capability) : capability := gamma (alpha a k) k.
Definition kernel (a k : capability) : capability := alpha (gamma a k) k.

(* 5. Obligations: operations that need a person; more obligations, smaller permission. *)
Definition union (a b : operation -> bool) : operation -> bool := fun o => a o || b o.
Definition obliged (owed : obligations) (o : option operation) : bool :=
  match o with Some o => owed o | None => true end.
Definition perm_leq (a : capability) (oa : obligations) (b : capability) (ob : obligations) : bool :=
  leq a b && everywhere (fun o => implb (ob o) (oa o)).
Definition nu_exfil : group := fun o => match o with RunBash | GitPush | CreatePr => true | _ => false end.
Definition nu_fires (a : capability) : bool :=
  somewhere (fun o => reads o && granted a o) &&
  somewhere (fun o => network o && granted a o) &&
  somewhere (fun o => nu_exfil o && granted a o).
Definition nu (a : capability) (owed : obligations) : obligations :=
  if nu_fires a then union owed (fun o => nu_exfil o && granted a o) else owed.

(* 6. Exposure: three booleans. *)
Record exposure := { private_data : bool; untrusted_content : bool; exfil_vector : bool }.
Definition nothing : exposure := {| private_data := false; untrusted_content := false; exfil_vector := false |}.
Definition all : exposure := {| private_data := true; untrusted_content := true; exfil_vector := true |}.
Definition private : exposure := {| private_data := true; untrusted_content := false; exfil_vector := false |}.
Definition untrusted : exposure := {| private_data := false; untrusted_content := true; exfil_vector := false |}.
Definition exfil : exposure := {| private_data := false; untrusted_content := false; exfil_vector := true |}.
Definition both (a b : exposure) : exposure :=
  {| private_data := private_data a || private_data b;
     untrusted_content := untrusted_content a || untrusted_content b;
     exfil_vector := exfil_vector a || exfil_vector b |}.
Definition seen_within (a b : exposure) : bool :=
  implb (private_data a) (private_data b) && implb (untrusted_content a) (untrusted_content b) &&
  implb (exfil_vector a) (exfil_vector b).
Definition uninhabitable (e : exposure) : bool :=
  private_data e && untrusted_content e && exfil_vector e.
(* The gate: the state would be uninhabitable, and this call is a way out. *)
Definition gate (seen projected : exposure) : bool :=
  uninhabitable (both seen projected) && exfil_vector projected.
Definition risk (e : exposure) : Z :=
  Z.b2z (private_data e) + Z.b2z (untrusted_content e) + Z.b2z (exfil_vector e).

Definition records (o : option operation) : exposure :=
  match o with
  | Some ReadFiles | Some GlobSearch | Some GrepSearch => private
  | Some WebSearch | Some WebFetch => untrusted
  | Some RunBash | Some GitPush | Some CreatePr | Some SpawnAgent => exfil
  | Some WriteFiles | Some EditFiles | Some GitCommit | Some ManagePods => nothing
  | None => all
  end.
(* A URL is a channel, except to a trusted sink; a shell is opaque, except where it is sealed. *)
Definition projects (o : option operation) (trusted_sink sealed : bool) (mounted : exposure) : exposure :=
  match o with
  | Some RunBash =>
      if sealed then {| private_data := private_data mounted;
                        untrusted_content := untrusted_content mounted; exfil_vector := false |}
      else all
  | Some WebSearch | Some WebFetch => if trusted_sink then untrusted else both untrusted exfil
  | _ => records o
  end.
Definition raises (o : option operation) (sealed : bool) (mounted : exposure) : exposure :=
  if is o RunBash then projects o false sealed mounted else records o.

(* 7. Labels: five axes, and freshness beside them. *)
Inductive confidentiality := Public | Internal | Secret.
Inductive integrity := Adversarial | Untrusted | Trusted.
Inductive authority := NoAuthority | Informational | Suggestive | Directive.
Inductive source := User | Tool | Web | Memory | TheModel | System.
Inductive derivation := Deterministic | AiDerived | HumanPromoted | Mixed | OpaqueExternal.
Record label := { conf : confidentiality; integ : integrity; auth : authority;
                  prov : source -> bool; deriv : derivation }.

Definition conf_rank (c : confidentiality) : Z :=
  match c with Public => 0 | Internal => 1 | Secret => 2 end.
Definition integ_rank (i : integrity) : Z :=
  match i with Adversarial => 0 | Untrusted => 1 | Trusted => 2 end.
Definition auth_rank (a : authority) : Z :=
  match a with NoAuthority => 0 | Informational => 1 | Suggestive => 2 | Directive => 3 end.

(* The more confidential, the less trusted, the less authoritative, any source of either. *)
Definition conf_join (a b : confidentiality) : confidentiality :=
  if conf_rank a <=? conf_rank b then b else a.
Definition integ_join (a b : integrity) : integrity := if integ_rank a <=? integ_rank b then a else b.
Definition auth_join (a b : authority) : authority := if auth_rank a <=? auth_rank b then a else b.
(* deterministic below ai_derived and human_promoted, those below mixed, all below opaque *)
Definition deriv_join (a b : derivation) : derivation :=
  match a, b with
  | OpaqueExternal, _ | _, OpaqueExternal => OpaqueExternal
  | Deterministic, x | x, Deterministic => x
  | AiDerived, AiDerived => AiDerived
  | HumanPromoted, HumanPromoted => HumanPromoted
  | _, _ => Mixed
  end.
Definition mix (a b : label) : label :=
  {| conf := conf_join (conf a) (conf b); integ := integ_join (integ a) (integ b);
     auth := auth_join (auth a) (auth b); prov := fun s => prov a s || prov b s;
     deriv := deriv_join (deriv a) (deriv b) |}.
Definition sources : list source := [User; Tool; Web; Memory; TheModel; System].
Definition deriv_within (a b : derivation) : bool :=
  match a, b with
  | Deterministic, _ | _, OpaqueExternal | AiDerived, AiDerived | HumanPromoted, HumanPromoted
  | AiDerived, Mixed | HumanPromoted, Mixed | Mixed, Mixed => true
  | _, _ => false
  end.
Definition flows_to (a b : label) : bool :=
  (conf_rank (conf a) <=? conf_rank (conf b)) && (integ_rank (integ b) <=? integ_rank (integ a)) &&
  (auth_rank (auth b) <=? auth_rank (auth a)) &&
  forallb (fun s => implb (prov a s) (prov b s)) sources && deriv_within (deriv a) (deriv b).
Definition to_exposure (l : label) : exposure :=
  {| private_data := match conf l with Public => false | _ => true end;
     untrusted_content := match integ l with Trusted => false | _ => true end;
     exfil_vector := false |}.
(* A time to live of 0 means for ever. *)
Definition expired (observed ttl now : Z) : bool := negb (ttl =? 0) && (observed + ttl <? now).
Definition older (a b : Z) : Z := Z.min a b.
Definition shorter (a b : Z) : Z := if a =? 0 then b else if b =? 0 then a else Z.min a b.

(* A release moves exactly from the level it names; what does not exist as a level moves nothing. *)
Definition releases (at_rank from to : Z) : bool := (at_rank =? from) && (0 <=? to) && (to <? from).
Definition promotes (at_rank from to most : Z) : bool :=
  (at_rank =? from) && (from <? to) && (to <=? most).
Definition lower_conf (l : label) (from to : Z) : label :=
  if releases (conf_rank (conf l)) from to
  then {| conf := if to =? 0 then Public else Internal; integ := integ l; auth := auth l;
          prov := prov l; deriv := deriv l |}
  else l.
Definition raise_integ (l : label) (from to : Z) : label :=
  if promotes (integ_rank (integ l)) from to 2
  then {| conf := conf l; integ := if to =? 1 then Untrusted else Trusted; auth := auth l;
          prov := prov l; deriv := deriv l |}
  else l.
Definition raise_authority (l : label) (from to : Z) : label :=
  if promotes (auth_rank (auth l)) from to 3
  then {| conf := conf l; integ := integ l; prov := prov l; deriv := deriv l;
          auth := if to =? 1 then Informational else if to =? 2 then Suggestive else Directive |}
  else l.

(* 8. Sinks. *)
Inductive sink :=
  | WorkspaceWrite | SystemWrite | BashExec | HttpEgress | GitCommitSink | GitPushSink
  | PrCommentWrite | EmailSend | MemoryPersist | AgentSpawn | McpWrite | SecretRead | CloudMutation
  | ProposedTableWrite | VerifiedTableWrite | SearchIndexWrite | CacheWrite | TicketWrite
  | AuditLogAppend.
Record requirement := { needs_auth : authority; needs_integ : integrity; leaves : bool;
                        verified : bool; undone : bool }.
Definition needs (a : authority) (i : integrity) (e v u : bool) : requirement :=
  {| needs_auth := a; needs_integ := i; leaves := e; verified := v; undone := u |}.
Definition requirement_of (s : sink) : requirement :=
  match s with               (*  authority   integrity  leaves verified undone *)
  | WorkspaceWrite      => needs Suggestive  Untrusted  false false true
  | SystemWrite         => needs Suggestive  Untrusted  false false false
  | BashExec            => needs Suggestive  Untrusted  false false false
  | HttpEgress          => needs Suggestive  Untrusted  true  false false
  | GitCommitSink       => needs Suggestive  Untrusted  false true  true
  | GitPushSink         => needs Suggestive  Trusted    true  true  false
  | PrCommentWrite      => needs Suggestive  Trusted    true  true  false
  | EmailSend           => needs Suggestive  Trusted    true  false false
  | MemoryPersist       => needs Suggestive  Untrusted  false false false
  | AgentSpawn          => needs Suggestive  Untrusted  true  false false
  | McpWrite            => needs Suggestive  Untrusted  false false false
  | SecretRead          => needs NoAuthority Adversarial false false true
  | CloudMutation       => needs Suggestive  Untrusted  true  false false
  | ProposedTableWrite  => needs Suggestive  Untrusted  false false true
  | VerifiedTableWrite  => needs Suggestive  Trusted    false true  false
  | SearchIndexWrite    => needs Suggestive  Untrusted  false false true
  | CacheWrite          => needs Suggestive  Untrusted  false false true
  | TicketWrite         => needs Suggestive  Trusted    true  false false
  | AuditLogAppend      => needs NoAuthority Adversarial false false true
  end.
(* A sink nobody listed requires everything and undoes nothing. *)
Definition requirement_at (s : option sink) : requirement :=
  match s with Some s => requirement_of s | None => needs Suggestive Trusted true true false end.
Definition default_sink (o : option operation) : option sink :=
  match o with
  | Some ReadFiles | Some GlobSearch | Some GrepSearch => Some SecretRead
  | Some WriteFiles | Some EditFiles => Some WorkspaceWrite
  | Some RunBash => Some BashExec
  | Some WebSearch | Some WebFetch => Some HttpEgress
  | Some GitCommit => Some GitCommitSink
  | Some GitPush => Some GitPushSink
  | Some CreatePr => Some PrCommentWrite
  | Some ManagePods => Some CloudMutation
  | Some SpawnAgent => Some AgentSpawn
  | None => None
  end.

Inductive rule := SecretLeaves | AuthorityTooLow | IntegrityTooLow | WebLeaves | Stale | Unverified.
Definition rules : list rule :=
  [SecretLeaves; AuthorityTooLow; IntegrityTooLow; WebLeaves; Stale; Unverified].
Definition secret (l : label) : bool := match conf l with Secret => true | _ => false end.
Definition secret_leaves (l : label) (s : option sink) : bool := secret l && leaves (requirement_at s).
Definition breaks (l : label) (s : option sink) (stale : bool) (r : rule) : bool :=
  match s with
  | None => true
  | Some s =>
      let q := requirement_of s in
      match r with
      | SecretLeaves => secret l && leaves q
      | AuthorityTooLow => auth_rank (auth l) <? auth_rank (needs_auth q)
      | IntegrityTooLow => integ_rank (integ l) <? integ_rank (needs_integ q)
      | WebLeaves => prov l Web && leaves q
      | Stale => stale
      | Unverified =>
          verified q && negb (match deriv l with Deterministic | HumanPromoted => true | _ => false end)
      end
  end.
Definition check_flow (l : label) (s : option sink) (stale : bool) : option rule :=
  find (breaks l s stale) rules.
Definition fits (l : label) (s : option sink) (stale : bool) : bool :=
  negb (existsb (breaks l s stale) rules).

(* The worst label a sink takes; a sink nobody listed takes the cleanest only. *)
Definition accepts (s : option sink) : label :=
  match s with
  | None => {| conf := Public; integ := Trusted; auth := Directive; prov := fun _ => false;
               deriv := Deterministic |}
  | Some s =>
      let q := requirement_of s in
      {| conf := if leaves q then Internal else Secret; integ := needs_integ q; auth := needs_auth q;
         prov := fun x => match x with Web => negb (leaves q) | _ => true end;
         deriv := if verified q then HumanPromoted else OpaqueExternal |}
  end.

(* 9. The verdict. *)
Inductive verdict := Deny | Ask | Allow.
Inductive ask := ForObligation | ForInputs | ForPayload | ForGate.
Definition asks : list ask := [ForObligation; ForInputs; ForPayload; ForGate].
Record call := {
  authority_held : capability; owed : obligations; operation_called : option operation;
  seen : exposure; could : exposure;
  value : label; into : option sink; stale : bool;
  bad_release : bool; evidence : bool; evidence_opens_the_gate : bool }.

(* No approval cures these. *)
Definition denied (c : call) : bool :=
  negb (granted_level (level_of (authority_held c) (operation_called c))) ||
  match into c with None => true | Some _ => false end ||
  secret_leaves (value c) (into c) || bad_release c.
(* What a person, or where policy says so evidence, must answer for. *)
Definition asked (c : call) (a : ask) : bool :=
  let answered := evidence_opens_the_gate c && evidence c in
  match a with
  | ForObligation => obliged (owed c) (operation_called c)
  | ForInputs =>
      match level_of (authority_held c) (operation_called c) with Always => false | _ => true end
      && negb (evidence c)
  | ForPayload =>
      negb (fits (value c) (into c) (stale c)) && negb (undone (requirement_at (into c)))
      && negb answered
  | ForGate => gate (seen c) (could c) && negb answered
  end.
Definition judge (c : call) (discharged : ask -> bool) : verdict :=
  if denied c then Deny
  else if existsb (fun a => asked c a && negb (discharged a)) asks then Ask
  else Allow.

(* 10. Amounts, hops, moments; what is spent over a session. *)
Definition budget_suffices (spent cost limit : Z) : bool :=
  (0 <=? spent) && (0 <=? cost) && (spent + cost <=? limit).
Definition remaining (spent limit : Z) : Z := if spent <? 0 then 0 else Z.max 0 (limit - spent).
Definition depth_falls (old new : Z) : bool := (0 <=? new) && (new <? old).
Definition time_valid (nbf exp now : Z) : bool := (nbf <=? now) && (now <? exp).
Definition pay (limit spent cost : Z) : Z := if budget_suffices spent cost limit then spent + cost else spent.

(* 11. Chains and sessions of any length. *)
Definition chain (root : capability) (caveats : list capability) : capability :=
  fold_left meet caveats root.
Definition owed_after (root : obligations) (added : list obligations) : obligations :=
  fold_left union added root.
Definition seen_after (start : exposure) (steps : list exposure) : exposure :=
  fold_left both steps start.
Definition made_from (intrinsic : label) (parents : list label) : label :=
  fold_left mix parents intrinsic.
Definition spent_after (limit spent : Z) (costs : list Z) : Z := fold_left (pay limit) costs spent.
Definition worst_risk (start : Z) (grades : list Z) : Z := fold_left Z.max grades start.
