(* Law: how the model's values are written as the kernel's numbers, and back; nothing else of the
   model depends on it.

   A number is a list of bits, the lowest first. *)
From Coq Require Import ZArith List Bool.
Require Import Model.
Import ListNotations.
Open Scope Z_scope.

Definition bits (l : list bool) : Z := fold_right (fun b z => 2 * z + Z.b2z b) 0 l.
Definition bit (z : Z) (i : Z) : bool := Z.testbit z i.

(* 1. Levels, operations, sinks. *)
Definition level_number (l : level) : Z := match l with Never => 0 | LowRisk => 1 | Always => 2 end.
Definition level_at (z : Z) : option level :=
  match z with 0 => Some Never | 1 => Some LowRisk | 2 => Some Always | _ => None end.
Definition operation_number (o : operation) : Z :=
  match o with
  | ReadFiles => 0 | WriteFiles => 1 | EditFiles => 2 | RunBash => 3 | GlobSearch => 4
  | GrepSearch => 5 | WebSearch => 6 | WebFetch => 7 | GitCommit => 8 | GitPush => 9
  | CreatePr => 10 | ManagePods => 11 | SpawnAgent => 12
  end.
Definition operation_at (z : Z) : option operation :=
  match z with
  | 0 => Some ReadFiles | 1 => Some WriteFiles | 2 => Some EditFiles | 3 => Some RunBash
  | 4 => Some GlobSearch | 5 => Some GrepSearch | 6 => Some WebSearch | 7 => Some WebFetch
  | 8 => Some GitCommit | 9 => Some GitPush | 10 => Some CreatePr | 11 => Some ManagePods
  | 12 => Some SpawnAgent | _ => None
  end.
Definition sink_number (s : option sink) : Z :=
  match s with
  | Some WorkspaceWrite => 0 | Some SystemWrite => 1 | Some BashExec => 2 | Some HttpEgress => 3
  | Some GitCommitSink => 4 | Some GitPushSink => 5 | Some PrCommentWrite => 6
  | Some EmailSend => 7 | Some MemoryPersist => 8 | Some AgentSpawn => 9 | Some McpWrite => 10
  | Some SecretRead => 11 | Some CloudMutation => 12 | Some ProposedTableWrite => 13
  | Some VerifiedTableWrite => 14 | Some SearchIndexWrite => 15 | Some CacheWrite => 16
  | Some TicketWrite => 17 | Some AuditLogAppend => 18 | None => 31
  end.
Definition sink_at (z : Z) : option sink :=
  match z with
  | 0 => Some WorkspaceWrite | 1 => Some SystemWrite | 2 => Some BashExec | 3 => Some HttpEgress
  | 4 => Some GitCommitSink | 5 => Some GitPushSink | 6 => Some PrCommentWrite
  | 7 => Some EmailSend | 8 => Some MemoryPersist | 9 => Some AgentSpawn | 10 => Some McpWrite
  | 11 => Some SecretRead | 12 => Some CloudMutation | 13 => Some ProposedTableWrite
  | 14 => Some VerifiedTableWrite | 15 => Some SearchIndexWrite | 16 => Some CacheWrite
  | 17 => Some TicketWrite | 18 => Some AuditLogAppend | _ => None
  end.

(* 2. Capabilities: two bits an operation, `granted at all` below `without asking`. *)
Definition low (l : level) : bool := match l with Never => false | _ => true end.
Definition high (l : level) : bool := match l with Always => true | _ => false end.
Definition caps (a : capability) : Z :=
  bits (flat_map (fun o => [low (a o); high (a o)]) operations).
Definition capability_at (z : Z) : capability := fun o =>
  let i := 2 * operation_number o in
  if bit z i then if bit z (i + 1) then Always else LowRisk else Never.
(* A group of operations as a mask of capabilities, a set of operations as thirteen bits. *)
Definition mask (g : group) : Z := caps (fun o => if g o then Always else Never).
Definition group_at (z : Z) : group := fun o => bit z (2 * operation_number o).
Definition ops (s : obligations) : Z := bits (map s operations).
Definition ops_at (z : Z) : obligations := fun o => bit z (operation_number o).

(* 3. Exposure. *)
Definition exposed (e : exposure) : Z := bits [private_data e; untrusted_content e; exfil_vector e].
Definition exposure_at (z : Z) : exposure :=
  {| private_data := bit z 0; untrusted_content := bit z 1; exfil_vector := bit z 2 |}.

(* 4. Labels: every set bit is a defect. *)
Definition source_number (s : source) : Z :=
  match s with User => 0 | Tool => 1 | Web => 2 | Memory => 3 | TheModel => 4 | System => 5 end.
Definition deriv_number (d : derivation) : Z :=
  match d with Deterministic => 0 | AiDerived => 1 | HumanPromoted => 2 | Mixed => 3 | OpaqueExternal => 4 end.
Definition conf_defects (c : confidentiality) : list bool :=
  match c with Public => [false; false] | Internal => [true; false] | Secret => [true; true] end.
Definition integ_defects (i : integrity) : list bool :=
  match i with Trusted => [false; false] | Untrusted => [true; false] | Adversarial => [true; true] end.
Definition auth_defects (a : authority) : list bool :=
  match a with
  | Directive => [false; false; false] | Suggestive => [true; false; false]
  | Informational => [true; true; false] | NoAuthority => [true; true; true]
  end.
Definition deriv_defects (d : derivation) : list bool :=
  match d with
  | Deterministic => [false; false; false] | AiDerived => [true; false; false]
  | HumanPromoted => [false; true; false] | Mixed => [true; true; false]
  | OpaqueExternal => [true; true; true]
  end.
Definition labelled (l : label) : Z :=
  bits (conf_defects (conf l) ++ integ_defects (integ l) ++ auth_defects (auth l) ++
        map (prov l) sources ++ deriv_defects (deriv l)).
Definition from_set (z : Z) : source -> bool := fun s => bit z (source_number s).
Definition label_at (z : Z) : label :=
  {| conf := if bit z 1 then Secret else if bit z 0 then Internal else Public;
     integ := if bit z 3 then Adversarial else if bit z 2 then Untrusted else Trusted;
     auth := if bit z 6 then NoAuthority else if bit z 5 then Informational
             else if bit z 4 then Suggestive else Directive;
     prov := fun s => bit z (7 + source_number s);
     deriv := if bit z 15 then OpaqueExternal else
              match bit z 13, bit z 14 with
              | false, false => Deterministic | true, false => AiDerived
              | false, true => HumanPromoted | true, true => Mixed
              end |}.
(* What an encoder is given; a level that does not exist is the worst one. *)
Definition conf_given (z : Z) : confidentiality :=
  match z with 0 => Public | 1 => Internal | _ => Secret end.
Definition integ_given (z : Z) : integrity :=
  match z with 2 => Trusted | 1 => Untrusted | _ => Adversarial end.
Definition auth_given (z : Z) : authority :=
  match z with 3 => Directive | 2 => Suggestive | 1 => Informational | _ => NoAuthority end.
Definition prov_given (z : Z) : source -> bool :=
  fun s => if (0 <=? z) && (z <? 64) then from_set z s else true.
Definition deriv_given (z : Z) : derivation :=
  match z with 0 => Deterministic | 1 => AiDerived | 2 => HumanPromoted | 3 => Mixed | _ => OpaqueExternal end.
Definition label_given (c i a p d : Z) : label :=
  {| conf := conf_given c; integ := integ_given i; auth := auth_given a; prov := prov_given p;
     deriv := deriv_given d |}.

(* 5. Rules, asks and verdicts. *)
Definition rule_number (r : option rule) : Z :=
  match r with
  | None => 0 | Some SecretLeaves => 1 | Some AuthorityTooLow => 2 | Some IntegrityTooLow => 3
  | Some WebLeaves => 4 | Some Stale => 5 | Some Unverified => 6
  end.
Definition rule_set (broken : rule -> bool) : Z := bits (map broken rules).
Definition ask_number (a : ask) : Z :=
  match a with ForObligation => 0 | ForInputs => 1 | ForPayload => 2 | ForGate => 3 end.
Definition ask_set (asked : ask -> bool) : Z := bits (map asked asks).
Definition asks_at (z : Z) : ask -> bool := fun a => bit z (ask_number a).
Definition verdict_number (v : verdict) : Z := match v with Deny => 0 | Ask => 1 | Allow => 2 end.
