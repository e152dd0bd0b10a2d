(* Law: this is the kernel's own source, read by proofs/translate; nobody edits it.
   Regenerating gives this file, byte for byte, or the gate is red. *)
From Coq Require Import ZArith List Bool.
Import ListNotations.
Open Scope Z_scope.

(* nucleus_tokens.lattice *)
Module lattice.

Definition DIMS : Z := 13.
Definition READ_FILES : Z := 0.
Definition WRITE_FILES : Z := 1.
Definition EDIT_FILES : Z := 2.
Definition RUN_BASH : Z := 3.
Definition GLOB_SEARCH : Z := 4.
Definition GREP_SEARCH : Z := 5.
Definition WEB_SEARCH : Z := 6.
Definition WEB_FETCH : Z := 7.
Definition GIT_COMMIT : Z := 8.
Definition GIT_PUSH : Z := 9.
Definition CREATE_PR : Z := 10.
Definition MANAGE_PODS : Z := 11.
Definition SPAWN_AGENT : Z := 12.
Definition NEVER : Z := 0.
Definition LOW_RISK : Z := 1.
Definition ALWAYS : Z := 2.
Definition LO : Z := 22369621.
Definition HI : Z := 44739242.
Definition TOP : Z := 67108863.
Definition BOTTOM : Z := 0.
Definition OPS : Z := 8191.
Definition READS : Z := 3843.
Definition WRITES : Z := 60.
Definition EXECUTION : Z := 192.
Definition NETWORK : Z := 61440.
Definition GIT : Z := 4128768.
Definition INFRA : Z := 62914560.
Definition NU_DIMS : Z := 3932352.
Definition NU_OPS : Z := 1544.
Definition valid (v_a : Z) : bool :=
  (andb (Z.eqb (Z.land v_a (Z.lnot TOP)) 0) (Z.eqb (Z.land (Z.shiftr (Z.land v_a HI) 1) (Z.lnot v_a)) 0)).

Definition meet (v_a : Z) (v_b : Z) : Z :=
  (Z.land v_a v_b).

Definition join (v_a : Z) (v_b : Z) : Z :=
  (Z.lor v_a v_b).

Definition leq (v_a : Z) (v_b : Z) : bool :=
  (Z.eqb (Z.land v_a (Z.lnot v_b)) 0).

Definition known (v_op : Z) : bool :=
  (andb (Z.leb 0 v_op) (Z.ltb v_op DIMS)).

Definition level_of (v_a : Z) (v_op : Z) : Z :=
  if (negb (known v_op))
  then NEVER
  else let v_low := (Z.land (Z.shiftr v_a (Z.add v_op v_op)) 1) in
  (Z.add v_low (Z.land (Z.shiftr v_a (Z.add (Z.add v_op v_op) 1)) v_low)).

Definition with_level (v_op : Z) (v_level : Z) : Z :=
  if (orb (negb (known v_op)) (orb (Z.ltb v_level LOW_RISK) (Z.ltb ALWAYS v_level)))
  then BOTTOM
  else (Z.shiftl (Z.sub (Z.add v_level v_level) 1) (Z.add v_op v_op)).

Definition granted (v_caps : Z) : Z :=
  let v_w := (Z.land v_caps LO) in
  let v_x := (Z.land (Z.lor v_w (Z.shiftr v_w 1)) 53687091) in
  let v_y := (Z.land (Z.lor v_x (Z.shiftr v_x 2)) 252645135) in
  let v_z := (Z.land (Z.lor v_y (Z.shiftr v_y 4)) 16711935) in
  (Z.land (Z.lor v_z (Z.shiftr v_z 8)) OPS).

Definition obliged (v_obligations : Z) (v_op : Z) : bool :=
  (orb (negb (known v_op)) (Z.eqb (Z.land (Z.shiftr v_obligations v_op) 1) 1)).

Definition nu_fires (v_caps : Z) : bool :=
  (andb (negb (Z.eqb (Z.land v_caps READS) 0)) (andb (negb (Z.eqb (Z.land v_caps NETWORK) 0)) (negb (Z.eqb (Z.land v_caps NU_DIMS) 0)))).

Definition nu (v_caps : Z) (v_obligations : Z) : Z :=
  (if (nu_fires v_caps) then (Z.lor v_obligations (Z.land (granted v_caps) NU_OPS)) else v_obligations).

End lattice.

(* nucleus_tokens.heyting *)
Module heyting.

Definition READ_ONLY : Z := 65283.
Definition implies (v_a : Z) (v_b : Z) : Z :=
  let v_over := (Z.land (Z.land v_a (Z.lnot v_b)) lattice.TOP) in
  let v_failing := (Z.land (Z.lor v_over (Z.shiftr v_over 1)) lattice.LO) in
  (Z.lor (Z.land lattice.TOP (Z.lnot (Z.lor v_failing (Z.shiftl v_failing 1)))) (Z.land v_b lattice.TOP)).

Definition neg (v_a : Z) : Z :=
  (implies v_a lattice.BOTTOM).

Definition set_level (v_a : Z) (v_op : Z) (v_level : Z) : Z :=
  if (negb (lattice.known v_op))
  then v_a
  else (Z.lor (Z.land v_a (Z.lnot (Z.shiftl 3 (Z.add v_op v_op)))) (lattice.with_level v_op v_level)).

Definition project (v_a : Z) (v_group : Z) : Z :=
  (Z.land v_a v_group).

Definition inject (v_a : Z) (v_src : Z) (v_group : Z) : Z :=
  (Z.lor (Z.land v_a (Z.lnot v_group)) (Z.land v_src v_group)).

Definition merge_from (v_a : Z) (v_src : Z) (v_group : Z) : Z :=
  (Z.lor v_a (Z.land v_src v_group)).

Definition read_only (v_a : Z) : Z :=
  (Z.land v_a READ_ONLY).

Definition permission_gap (v_current : Z) (v_target : Z) : Z :=
  (implies v_current v_target).

Definition entails (v_a : Z) (v_b : Z) : bool :=
  (Z.eqb (implies v_a v_b) lattice.TOP).

Definition condition (v_premise : Z) (v_consequence : Z) : Z :=
  (implies v_premise v_consequence).

Definition condition_satisfied (v_p : Z) (v_premise : Z) (v_consequence : Z) : bool :=
  (lattice.leq v_p (implies v_premise v_consequence)).

Definition condition_apply (v_p : Z) (v_premise : Z) (v_consequence : Z) : Z :=
  (if (lattice.leq v_premise v_p) then (Z.land v_p v_consequence) else lattice.BOTTOM).

Definition spread (v_ops : Z) : Z :=
  let v_v := (Z.land v_ops lattice.OPS) in
  let v_w := (Z.land (Z.lor v_v (Z.shiftl v_v 8)) 16711935) in
  let v_x := (Z.land (Z.lor v_w (Z.shiftl v_w 4)) 252645135) in
  let v_y := (Z.land (Z.lor v_x (Z.shiftl v_x 2)) 53687091) in
  let v_z := (Z.land (Z.lor v_y (Z.shiftl v_y 1)) lattice.LO) in
  (Z.lor v_z (Z.shiftl v_z 1)).

Definition box (v_caps : Z) (v_obligations : Z) : Z :=
  (Z.land v_caps (Z.lnot (spread v_obligations))).

Definition diamond (v_caps : Z) (v_ceiling : Z) : Z :=
  (Z.lor v_caps v_ceiling).

Definition requires_escalation (v_caps : Z) (v_target : Z) : bool :=
  (negb (Z.eqb (Z.land v_target (Z.lnot v_caps)) 0)).

Definition alpha (v_caps : Z) (v_k : Z) : Z :=
  (Z.land v_caps v_k).

Definition gamma (v_caps : Z) (v_k : Z) : Z :=
  (implies v_k v_caps).

Definition closure (v_caps : Z) (v_k : Z) : Z :=
  (implies v_k (Z.land v_caps v_k)).

Definition kernel (v_caps : Z) (v_k : Z) : Z :=
  (Z.land (implies v_k v_caps) v_k).

Definition perm_leq (v_caps_a : Z) (v_obl_a : Z) (v_caps_b : Z) (v_obl_b : Z) : bool :=
  (andb (Z.eqb (Z.land v_caps_a (Z.lnot v_caps_b)) 0) (Z.eqb (Z.land v_obl_b (Z.lnot v_obl_a)) 0)).

Definition chain_caps (v_root : Z) (v_caveats : list Z) : Z :=
  let v_acc := v_root in
  let v_acc := fold_left (fun v_acc v_c => (Z.land v_acc v_c)) v_caveats v_acc in
  v_acc.

Definition chain_obligations (v_root : Z) (v_caveats : list Z) : Z :=
  let v_acc := v_root in
  let v_acc := fold_left (fun v_acc v_c => (Z.lor v_acc v_c)) v_caveats v_acc in
  v_acc.

End heyting.

(* nucleus_tokens.exposure *)
Module exposure.

Definition PRIVATE_DATA : Z := 1.
Definition UNTRUSTED_CONTENT : Z := 2.
Definition EXFIL_VECTOR : Z := 4.
Definition NOTHING : Z := 0.
Definition ALL : Z := 7.
Definition valid (v_e : Z) : bool :=
  (Z.eqb (Z.land v_e (Z.lnot ALL)) 0).

Definition join (v_a : Z) (v_b : Z) : Z :=
  (Z.lor v_a v_b).

Definition leq (v_a : Z) (v_b : Z) : bool :=
  (Z.eqb (Z.land v_a (Z.lnot v_b)) 0).

Definition complete (v_e : Z) : bool :=
  (Z.eqb (Z.land v_e ALL) ALL).

Definition gates (v_e : Z) (v_projected : Z) : bool :=
  (andb (Z.eqb (Z.land (Z.lor v_e v_projected) ALL) ALL) (negb (Z.eqb (Z.land v_projected EXFIL_VECTOR) 0))).

End exposure.

(* nucleus_tokens.projection *)
Module projection.

Definition RECORDS : Z := 279714502657.
Definition PROJECTS : Z := 279723941377.
Definition PROJECTS_TRUSTED : Z := 279714504193.
Definition SAFE : Z := 0.
Definition LOW : Z := 1.
Definition MEDIUM : Z := 2.
Definition UNINHABITABLE : Z := 3.
Definition risk (v_e : Z) : Z :=
  (Z.add (Z.add (Z.land v_e 1) (Z.land (Z.shiftr v_e 1) 1)) (Z.land (Z.shiftr v_e 2) 1)).

Definition compose (v_a : Z) (v_b : Z) : Z :=
  (if (Z.leb v_b v_a) then v_a else v_b).

Definition records (v_op : Z) : Z :=
  (if (lattice.known v_op) then (Z.land (Z.shiftr RECORDS (Z.add (Z.add v_op v_op) v_op)) exposure.ALL) else exposure.ALL).

Definition projects (v_op : Z) (v_trusted_sink : bool) (v_sealed : bool) (v_mounted : Z) : Z :=
  if (negb (lattice.known v_op))
  then exposure.ALL
  else if (andb (Z.eqb v_op lattice.RUN_BASH) v_sealed)
  then (Z.land v_mounted (Z.lnot exposure.EXFIL_VECTOR))
  else if v_trusted_sink
  then (Z.land (Z.shiftr PROJECTS_TRUSTED (Z.add (Z.add v_op v_op) v_op)) exposure.ALL)
  else (Z.land (Z.shiftr PROJECTS (Z.add (Z.add v_op v_op) v_op)) exposure.ALL).

Definition raises (v_op : Z) (v_sealed : bool) (v_mounted : Z) : Z :=
  (if (Z.eqb v_op lattice.RUN_BASH) then (projects v_op false v_sealed v_mounted) else (records v_op)).

Definition with_binding (v_bits : Z) (v_added : Z) : Z :=
  (Z.lor v_bits v_added).

Definition is_exfil_projection (v_projected : Z) : bool :=
  (negb (Z.eqb (Z.land v_projected exposure.EXFIL_VECTOR) 0)).

Definition after (v_e : Z) (v_bits : Z) : Z :=
  (Z.lor v_e v_bits).

Definition gate_complete (v_e : Z) (v_projected : Z) : bool :=
  (Z.eqb (Z.land (Z.lor v_e v_projected) exposure.ALL) exposure.ALL).

Definition session (v_start : Z) (v_steps : list Z) : Z :=
  let v_acc := v_start in
  let v_acc := fold_left (fun v_acc v_bits => (Z.lor v_acc v_bits)) v_steps v_acc in
  v_acc.

Definition session_risk (v_start : Z) (v_grades : list Z) : Z :=
  let v_acc := v_start in
  let v_acc := fold_left (fun v_acc v_g => (compose v_acc v_g)) v_grades v_acc in
  v_acc.

End projection.

(* nucleus_tokens.labels *)
Module labels.

Definition CONF_MASK : Z := 3.
Definition INTEG_MASK : Z := 12.
Definition AUTH_MASK : Z := 112.
Definition PROV_MASK : Z := 8064.
Definition DERIV_MASK : Z := 57344.
Definition BOTTOM : Z := 0.
Definition TOP : Z := 65535.
Definition DEFAULT : Z := 116.
Definition PUBLIC : Z := 0.
Definition INTERNAL : Z := 1.
Definition SECRET : Z := 2.
Definition ADVERSARIAL : Z := 0.
Definition UNTRUSTED : Z := 1.
Definition TRUSTED : Z := 2.
Definition NO_AUTHORITY : Z := 0.
Definition INFORMATIONAL : Z := 1.
Definition SUGGESTIVE : Z := 2.
Definition DIRECTIVE : Z := 3.
Definition USER : Z := 1.
Definition TOOL : Z := 2.
Definition WEB : Z := 4.
Definition MEMORY : Z := 8.
Definition MODEL : Z := 16.
Definition SYSTEM : Z := 32.
Definition PROV_ALL : Z := 63.
Definition DETERMINISTIC : Z := 0.
Definition AI_DERIVED : Z := 1.
Definition HUMAN_PROMOTED : Z := 2.
Definition MIXED : Z := 3.
Definition OPAQUE_EXTERNAL : Z := 4.
Definition valid (v_a : Z) : bool :=
  let v_rest := (Z.land (Z.lnot v_a) TOP) in
  (andb (Z.eqb (Z.land v_a (Z.lnot TOP)) 0) (Z.eqb (Z.land (Z.lor (Z.shiftr (Z.land v_a 32874) 1) (Z.shiftr (Z.land v_a 32768) 2)) v_rest) 0)).

Definition join (v_a : Z) (v_b : Z) : Z :=
  (Z.lor v_a v_b).

Definition flows_to (v_a : Z) (v_b : Z) : bool :=
  (Z.eqb (Z.land v_a (Z.lnot v_b)) 0).

Definition conf (v_a : Z) : Z :=
  (if (negb (Z.eqb (Z.land v_a 2) 0)) then SECRET else (Z.land v_a 1)).

Definition integ (v_a : Z) : Z :=
  if (negb (Z.eqb (Z.land v_a 8) 0))
  then ADVERSARIAL
  else (if (negb (Z.eqb (Z.land v_a 4) 0)) then UNTRUSTED else TRUSTED).

Definition authority (v_a : Z) : Z :=
  if (negb (Z.eqb (Z.land v_a 64) 0))
  then NO_AUTHORITY
  else if (negb (Z.eqb (Z.land v_a 32) 0))
  then INFORMATIONAL
  else (if (negb (Z.eqb (Z.land v_a 16) 0)) then SUGGESTIVE else DIRECTIVE).

Definition provenance (v_a : Z) : Z :=
  (Z.land (Z.shiftr v_a 7) PROV_ALL).

Definition derivation (v_a : Z) : Z :=
  (if (negb (Z.eqb (Z.land v_a 32768) 0)) then OPAQUE_EXTERNAL else (Z.land (Z.shiftr v_a 13) 3)).

Definition expired (v_observed : Z) (v_ttl : Z) (v_now : Z) : bool :=
  (andb (negb (Z.eqb v_ttl 0)) (Z.ltb (Z.add v_observed v_ttl) v_now)).

End labels.

(* nucleus_tokens.labelling *)
Module labelling.

Definition USER_PROMPT : Z := 129.
Definition TOOL_RESPONSE : Z := 309.
Definition WEB_CONTENT : Z := 57980.
Definition MEMORY_READ : Z := 1077.
Definition MEMORY_WRITE : Z := 10289.
Definition FILE_READ : Z := 4097.
Definition EXISTING_FILE : Z := 4117.
Definition ENV_VAR : Z := 4211.
Definition SECRET_VALUE : Z := 4211.
Definition MODEL_PLAN : Z := 10241.
Definition SUMMARIZATION : Z := 10240.
Definition OUTBOUND_ACTION : Z := 2048.
Definition HTTP_RESPONSE : Z := 373.
Definition DATABASE_ROW : Z := 4145.
Definition GIT_BLOB : Z := 4097.
Definition CACHED_DATUM : Z := 372.
Definition DETERMINISTIC_BIND : Z := 369.
Definition WEB_CONTENT_TTL : Z := 3600.
Definition MEMORY_READ_TTL : Z := 86400.
Definition conf_bits (v_level : Z) : Z :=
  if (Z.eqb v_level labels.PUBLIC)
  then 0
  else (if (Z.eqb v_level labels.INTERNAL) then 1 else 3).

Definition integ_bits (v_level : Z) : Z :=
  if (Z.eqb v_level labels.TRUSTED)
  then 0
  else (if (Z.eqb v_level labels.UNTRUSTED) then 4 else 12).

Definition auth_bits (v_level : Z) : Z :=
  if (Z.eqb v_level labels.DIRECTIVE)
  then 0
  else if (Z.eqb v_level labels.SUGGESTIVE)
  then 16
  else (if (Z.eqb v_level labels.INFORMATIONAL) then 48 else 112).

Definition prov_bits (v_sources : Z) : Z :=
  (if (Z.eqb (Z.land v_sources (Z.lnot labels.PROV_ALL)) 0) then (Z.shiftl v_sources 7) else labels.PROV_MASK).

Definition deriv_bits (v_kind : Z) : Z :=
  (if (Z.eqb (Z.land v_kind (Z.lnot 3)) 0) then (Z.shiftl v_kind 13) else labels.DERIV_MASK).

Definition make (v_conf_level : Z) (v_integ_level : Z) (v_auth_level : Z) (v_sources : Z) (v_kind : Z) : Z :=
  let v_c := (Z.lor (Z.lor (conf_bits v_conf_level) (integ_bits v_integ_level)) (auth_bits v_auth_level)) in
  (Z.lor (Z.lor v_c (prov_bits v_sources)) (deriv_bits v_kind)).

Definition lowers_conf (v_a : Z) (v_src : Z) (v_dst : Z) : bool :=
  (andb (Z.eqb (labels.conf v_a) v_src) (andb (Z.leb labels.PUBLIC v_dst) (Z.ltb v_dst v_src))).

Definition lower_conf (v_a : Z) (v_src : Z) (v_dst : Z) : Z :=
  (if (lowers_conf v_a v_src v_dst) then (Z.lor (Z.land v_a (Z.lnot labels.CONF_MASK)) (conf_bits v_dst)) else v_a).

Definition raises_integ (v_a : Z) (v_src : Z) (v_dst : Z) : bool :=
  (andb (Z.eqb (labels.integ v_a) v_src) (andb (Z.leb v_dst labels.TRUSTED) (Z.ltb v_src v_dst))).

Definition raise_integ (v_a : Z) (v_src : Z) (v_dst : Z) : Z :=
  (if (raises_integ v_a v_src v_dst) then (Z.lor (Z.land v_a (Z.lnot labels.INTEG_MASK)) (integ_bits v_dst)) else v_a).

Definition raises_authority (v_a : Z) (v_src : Z) (v_dst : Z) : bool :=
  (andb (Z.eqb (labels.authority v_a) v_src) (andb (Z.leb v_dst labels.DIRECTIVE) (Z.ltb v_src v_dst))).

Definition raise_authority (v_a : Z) (v_src : Z) (v_dst : Z) : Z :=
  (if (raises_authority v_a v_src v_dst) then (Z.lor (Z.land v_a (Z.lnot labels.AUTH_MASK)) (auth_bits v_dst)) else v_a).

Definition propagate (v_intrinsic : Z) (v_parents : list Z) : Z :=
  let v_acc := v_intrinsic in
  let v_acc := fold_left (fun v_acc v_p => (Z.lor v_acc v_p)) v_parents v_acc in
  v_acc.

Definition to_exposure (v_a : Z) : Z :=
  let v_private := (if (negb (Z.eqb (Z.land v_a labels.CONF_MASK) 0)) then exposure.PRIVATE_DATA else 0) in
  (Z.lor v_private (if (negb (Z.eqb (Z.land v_a labels.INTEG_MASK) 0)) then exposure.UNTRUSTED_CONTENT else 0)).

Definition join_observed (v_a : Z) (v_b : Z) : Z :=
  (if (Z.leb v_a v_b) then v_a else v_b).

Definition join_ttl (v_a : Z) (v_b : Z) : Z :=
  if (Z.eqb v_a 0)
  then v_b
  else if (Z.eqb v_b 0)
  then v_a
  else (if (Z.leb v_a v_b) then v_a else v_b).

End labelling.

(* nucleus_tokens.sinks *)
Module sinks.

Definition SINK_COUNT : Z := 19.
Definition WORKSPACE_WRITE : Z := 0.
Definition SYSTEM_WRITE : Z := 1.
Definition BASH_EXEC : Z := 2.
Definition HTTP_EGRESS : Z := 3.
Definition GIT_COMMIT_SINK : Z := 4.
Definition GIT_PUSH_SINK : Z := 5.
Definition PR_COMMENT_WRITE : Z := 6.
Definition EMAIL_SEND : Z := 7.
Definition MEMORY_PERSIST : Z := 8.
Definition AGENT_SPAWN : Z := 9.
Definition MCP_WRITE : Z := 10.
Definition SECRET_READ : Z := 11.
Definition CLOUD_MUTATION : Z := 12.
Definition PROPOSED_TABLE_WRITE : Z := 13.
Definition VERIFIED_TABLE_WRITE : Z := 14.
Definition SEARCH_INDEX_WRITE : Z := 15.
Definition CACHE_WRITE : Z := 16.
Definition TICKET_WRITE : Z := 17.
Definition AUDIT_LOG_APPEND : Z := 18.
Definition UNKNOWN_SINK : Z := 31.
Definition NON_EXFIL : Z := 388375.
Definition OPEN_TO_ALL : Z := 264192.
Definition UNTRUSTED_OK : Z := 376607.
Definition UNVERIFIED_OK : Z := 507791.
Definition REVERSIBLE : Z := 370705.
Definition SECRET_EXFIL : Z := 1.
Definition AUTHORITY_TOO_LOW : Z := 2.
Definition INTEGRITY_TOO_LOW : Z := 4.
Definition WEB_EXFIL : Z := 8.
Definition STALE : Z := 16.
Definition UNVERIFIED : Z := 32.
Definition ALL_RULES : Z := 63.
Definition known_sink (v_sink : Z) : bool :=
  (andb (Z.leb 0 v_sink) (Z.ltb v_sink SINK_COUNT)).

Definition exfil (v_sink : Z) : bool :=
  (orb (Z.ltb v_sink 0) (Z.eqb (Z.land (Z.shiftr NON_EXFIL v_sink) 1) 0)).

Definition required_authority (v_sink : Z) : Z :=
  (if (andb (Z.leb 0 v_sink) (Z.eqb (Z.land (Z.shiftr OPEN_TO_ALL v_sink) 1) 1)) then labels.NO_AUTHORITY else labels.SUGGESTIVE).

Definition required_integrity (v_sink : Z) : Z :=
  if (orb (Z.ltb v_sink 0) (Z.eqb (Z.land (Z.shiftr UNTRUSTED_OK v_sink) 1) 0))
  then labels.TRUSTED
  else (if (Z.eqb (Z.land (Z.shiftr OPEN_TO_ALL v_sink) 1) 1) then 0 else labels.UNTRUSTED).

Definition requires_verified (v_sink : Z) : bool :=
  (orb (Z.ltb v_sink 0) (Z.eqb (Z.land (Z.shiftr UNVERIFIED_OK v_sink) 1) 0)).

Definition reversible (v_sink : Z) : bool :=
  (andb (Z.leb 0 v_sink) (Z.eqb (Z.land (Z.shiftr REVERSIBLE v_sink) 1) 1)).

Definition secret_to_exfil (v_label : Z) (v_sink : Z) : bool :=
  (andb (negb (Z.eqb (Z.land v_label 2) 0)) (exfil v_sink)).

Definition flow_failures (v_label : Z) (v_sink : Z) (v_observed : Z) (v_ttl : Z) (v_now : Z) : Z :=
  if (negb (known_sink v_sink))
  then ALL_RULES
  else let v_r1 := (if (secret_to_exfil v_label v_sink) then SECRET_EXFIL else 0) in
  let v_r2 := (if (Z.ltb (labels.authority v_label) (required_authority v_sink)) then AUTHORITY_TOO_LOW else 0) in
  let v_r3 := (if (Z.ltb (labels.integ v_label) (required_integrity v_sink)) then INTEGRITY_TOO_LOW else 0) in
  let v_r4 := (if (andb (negb (Z.eqb (Z.land v_label 512) 0)) (exfil v_sink)) then WEB_EXFIL else 0) in
  let v_r5 := (if (labels.expired v_observed v_ttl v_now) then STALE else 0) in
  let v_r6 := (if (andb (requires_verified v_sink) (negb (Z.eqb (Z.land v_label 40960) 0))) then UNVERIFIED else 0) in
  (Z.lor (Z.lor (Z.lor (Z.lor (Z.lor v_r1 v_r2) v_r3) v_r4) v_r5) v_r6).

End sinks.

(* nucleus_tokens.flow *)
Module flow.

Definition DEFAULT_SINKS : Z := 10815574931718340619.
Definition default_sink (v_op : Z) : Z :=
  if (negb (lattice.known v_op))
  then sinks.UNKNOWN_SINK
  else (Z.land (Z.shiftr DEFAULT_SINKS (Z.add (Z.add (Z.add (Z.add v_op v_op) v_op) v_op) v_op)) 31).

Definition ceiling (v_sink : Z) : Z :=
  if (negb (sinks.known_sink v_sink))
  then 0
  else let v_c := (if (sinks.exfil v_sink) then 1 else labels.CONF_MASK) in
  let v_a := (if (Z.eqb (sinks.required_authority v_sink) labels.NO_AUTHORITY) then labels.AUTH_MASK else 16) in
  let v_d := (if (sinks.requires_verified v_sink) then 16384 else labels.DERIV_MASK) in
  let v_p := (if (sinks.exfil v_sink) then 7552 else labels.PROV_MASK) in
  if (Z.eqb (sinks.required_integrity v_sink) labels.TRUSTED)
  then (Z.lor (Z.lor (Z.lor v_c v_a) v_p) v_d)
  else (Z.lor (Z.lor (Z.lor (Z.lor v_c v_a) v_p) v_d) (if (Z.eqb (sinks.required_integrity v_sink) labels.UNTRUSTED) then 4 else labels.INTEG_MASK)).

Definition meets (v_label : Z) (v_sink : Z) (v_observed : Z) (v_ttl : Z) (v_now : Z) : bool :=
  let v_ok := (andb (sinks.known_sink v_sink) (Z.eqb (Z.land v_label (Z.lnot (ceiling v_sink))) 0)) in
  (andb v_ok (negb (labels.expired v_observed v_ttl v_now))).

Definition first_rule (v_failures : Z) : Z :=
  if (negb (Z.eqb (Z.land v_failures sinks.SECRET_EXFIL) 0))
  then 1
  else if (negb (Z.eqb (Z.land v_failures sinks.AUTHORITY_TOO_LOW) 0))
  then 2
  else if (negb (Z.eqb (Z.land v_failures sinks.INTEGRITY_TOO_LOW) 0))
  then 3
  else if (negb (Z.eqb (Z.land v_failures sinks.WEB_EXFIL) 0))
  then 4
  else if (negb (Z.eqb (Z.land v_failures sinks.STALE) 0))
  then 5
  else (if (negb (Z.eqb v_failures 0)) then 6 else 0).

Definition check_flow (v_label : Z) (v_sink : Z) (v_observed : Z) (v_ttl : Z) (v_now : Z) : Z :=
  (first_rule (sinks.flow_failures v_label v_sink v_observed v_ttl v_now)).

End flow.

(* nucleus_verifier.verdict *)
Module verdict.

Definition DENY : Z := 0.
Definition ASK : Z := 1.
Definition ALLOW : Z := 2.
Definition DENY_LEVEL : Z := 1.
Definition DENY_SECRET : Z := 2.
Definition DENY_DECLASSIFY : Z := 4.
Definition DENY_SINK : Z := 8.
Definition ASK_STATIC : Z := 1.
Definition ASK_INPUTS : Z := 2.
Definition ASK_PAYLOAD : Z := 4.
Definition ASK_GATE : Z := 8.
Definition denials (v_level : Z) (v_to_exfil : bool) (v_bad_declassification : bool) : Z :=
  let v_d1 := (if (orb (Z.ltb v_level lattice.LOW_RISK) (Z.ltb lattice.ALWAYS v_level)) then DENY_LEVEL else 0) in
  let v_d2 := (if v_to_exfil then DENY_SECRET else 0) in
  (Z.lor (Z.lor v_d1 v_d2) (if v_bad_declassification then DENY_DECLASSIFY else 0)).

Definition asks (v_level : Z) (v_static_obligation : bool) (v_gate_fires : bool) (v_payload_ok : bool) (v_sink_reversible : bool) (v_evidence : bool) (v_gate_by_evidence : bool) : Z :=
  let v_answered := (andb v_gate_by_evidence v_evidence) in
  let v_a1 := (if v_static_obligation then ASK_STATIC else 0) in
  let v_a2 := (if (andb (Z.ltb v_level lattice.ALWAYS) (negb v_evidence)) then ASK_INPUTS else 0) in
  let v_a3 := (if (andb (negb v_payload_ok) (andb (negb v_sink_reversible) (negb v_answered))) then ASK_PAYLOAD else 0) in
  (Z.lor (Z.lor (Z.lor v_a1 v_a2) v_a3) (if (andb v_gate_fires (negb v_answered)) then ASK_GATE else 0)).

Definition denied_for (v_caps : Z) (v_op : Z) (v_label : Z) (v_sink : Z) (v_bad_declassification : bool) : Z :=
  let v_d := (denials (lattice.level_of v_caps v_op) (sinks.secret_to_exfil v_label v_sink) v_bad_declassification) in
  (if (sinks.known_sink v_sink) then v_d else (Z.lor v_d DENY_SINK)).

Definition asked_for (v_caps : Z) (v_obligations : Z) (v_op : Z) (v_exposure : Z) (v_projected : Z) (v_payload_ok : bool) (v_sink : Z) (v_evidence : bool) (v_gate_by_evidence : bool) : Z :=
  (asks (lattice.level_of v_caps v_op) (lattice.obliged v_obligations v_op) (exposure.gates v_exposure v_projected) v_payload_ok (sinks.reversible v_sink) v_evidence v_gate_by_evidence).

Definition verdict (v_denied : Z) (v_asked : Z) (v_discharged : Z) : Z :=
  if (negb (Z.eqb v_denied 0))
  then DENY
  else (if (negb (Z.eqb (Z.land v_asked (Z.lnot v_discharged)) 0)) then ASK else ALLOW).

Definition budget_suffices (v_spent : Z) (v_cost : Z) (v_limit : Z) : bool :=
  (andb (Z.leb 0 v_cost) (andb (Z.leb 0 v_spent) (Z.leb (Z.add v_spent v_cost) v_limit))).

Definition remaining (v_spent : Z) (v_limit : Z) : Z :=
  if (orb (Z.ltb v_spent 0) (Z.leb v_limit v_spent))
  then 0
  else (Z.sub v_limit v_spent).

Definition depth_falls (v_old : Z) (v_new : Z) : bool :=
  (andb (Z.leb 0 v_new) (Z.ltb v_new v_old)).

Definition time_valid (v_nbf : Z) (v_exp : Z) (v_now : Z) : bool :=
  (andb (Z.leb v_nbf v_now) (Z.ltb v_now v_exp)).

End verdict.

(* nucleus_verifier.session *)
Module session.

Definition judge (v_caps : Z) (v_obligations : Z) (v_op : Z) (v_exposure : Z) (v_projected : Z) (v_label : Z) (v_sink : Z) (v_observed : Z) (v_ttl : Z) (v_now : Z) (v_bad_declassification : bool) (v_evidence : bool) (v_gate_by_evidence : bool) (v_discharged : Z) : Z :=
  let v_denied := (verdict.denied_for v_caps v_op v_label v_sink v_bad_declassification) in
  let v_fit := (flow.meets v_label v_sink v_observed v_ttl v_now) in
  let v_asked := (verdict.asked_for v_caps v_obligations v_op v_exposure v_projected v_fit v_sink v_evidence v_gate_by_evidence) in
  (verdict.verdict v_denied v_asked v_discharged).

Definition step_caps (v_caps : Z) (v_caveat : Z) : Z :=
  (Z.land v_caps v_caveat).

Definition step_exposure (v_exposure : Z) (v_bits : Z) : Z :=
  (Z.lor v_exposure v_bits).

Definition step_obligations (v_obligations : Z) (v_added : Z) : Z :=
  (Z.lor v_obligations v_added).

Definition step_spent (v_spent : Z) (v_cost : Z) (v_limit : Z) : Z :=
  (if (verdict.budget_suffices v_spent v_cost v_limit) then (Z.add v_spent v_cost) else v_spent).

Definition session_caps (v_caps : Z) (v_caveats : list Z) : Z :=
  let v_acc := v_caps in
  let v_acc := fold_left (fun v_acc v_c => (step_caps v_acc v_c)) v_caveats v_acc in
  v_acc.

Definition session_exposure (v_exposure : Z) (v_steps : list Z) : Z :=
  let v_acc := v_exposure in
  let v_acc := fold_left (fun v_acc v_bits => (step_exposure v_acc v_bits)) v_steps v_acc in
  v_acc.

Definition session_obligations (v_obligations : Z) (v_steps : list Z) : Z :=
  let v_acc := v_obligations in
  let v_acc := fold_left (fun v_acc v_added => (step_obligations v_acc v_added)) v_steps v_acc in
  v_acc.

Definition session_spent (v_spent : Z) (v_limit : Z) (v_costs : list Z) : Z :=
  let v_acc := v_spent in
  let v_acc := fold_left (fun v_acc v_cost => (step_spent v_acc v_cost v_limit)) v_costs v_acc in
  v_acc.

End session.
