(* Law: the model, asked in the kernel's numbers; what is extracted to OCaml and compared with the
   running Python.

   Each line reads the numbers as the model's values, computes there, and writes the answer. The
   names are the kernel's; nothing of the kernel is used. *)
From Coq Require Import ZArith List Bool.
Require Import Model Packing.
Import ListNotations.
Open Scope Z_scope.

Module lattice.
  Definition valid z := caps (capability_at z) =? z.
  Definition meet a b := caps (meet (capability_at a) (capability_at b)).
  Definition join a b := caps (join (capability_at a) (capability_at b)).
  Definition leq a b := leq (capability_at a) (capability_at b).
  Definition known o := match operation_at o with Some _ => true | None => false end.
  Definition level_of a o := level_number (level_of (capability_at a) (operation_at o)).
  Definition with_level o l := caps (with_level (operation_at o) (level_at l)).
  Definition granted a := ops (granted (capability_at a)).
  Definition obliged s o := obliged (ops_at s) (operation_at o).
  Definition nu_fires a := nu_fires (capability_at a).
  Definition nu a s := ops (nu (capability_at a) (ops_at s)).
End lattice.

Module heyting.
  Definition implies a b := caps (implies (capability_at a) (capability_at b)).
  Definition neg a := caps (neg (capability_at a)).
  Definition set_level a o l := caps (set_level (capability_at a) (operation_at o) (level_at l)).
  Definition project a g := caps (project (capability_at a) (group_at g)).
  Definition inject a s g := caps (inject (capability_at a) (capability_at s) (group_at g)).
  Definition merge_from a s g := caps (merge_from (capability_at a) (capability_at s) (group_at g)).
  Definition read_only a := caps (read_only (capability_at a)).
  Definition permission_gap a b := implies a b.
  Definition entails a b := entails (capability_at a) (capability_at b).
  Definition condition a b := implies a b.
  Definition condition_satisfied p a b :=
    condition_satisfied (capability_at p) (capability_at a) (capability_at b).
  Definition condition_apply p a b :=
    caps (condition_apply (capability_at p) (capability_at a) (capability_at b)).
  Definition spread s := caps (spread (ops_at s)).
  Definition box a s := caps (box (capability_at a) (ops_at s)).
  Definition diamond a b := caps (diamond (capability_at a) (capability_at b)).
  Definition requires_escalation a b := requires_escalation (capability_at a) (capability_at b).
  Definition alpha a k := caps (alpha (capability_at a) (capability_at k)).
  Definition gamma a k := caps (gamma (capability_at a) (capability_at k)).
  Definition closure a k := caps (closure (capability_at a) (capability_at k)).
  Definition kernel a k := caps (kernel (capability_at a) (capability_at k)).
  Definition perm_leq a s b t := perm_leq (capability_at a) (ops_at s) (capability_at b) (ops_at t).
  Definition chain_caps a l := caps (chain (capability_at a) (map capability_at l)).
  Definition chain_obligations s l := ops (owed_after (ops_at s) (map ops_at l)).
End heyting.

Module exposure.
  Definition valid z := exposed (exposure_at z) =? z.
  Definition join a b := exposed (both (exposure_at a) (exposure_at b)).
  Definition leq a b := seen_within (exposure_at a) (exposure_at b).
  Definition complete e := uninhabitable (exposure_at e).
  Definition gates e p := gate (exposure_at e) (exposure_at p).
End exposure.

Module projection.
  Definition risk e := risk (exposure_at e).
  Definition compose a b := Z.max a b.
  Definition records o := exposed (records (operation_at o)).
  Definition projects o t s m := exposed (projects (operation_at o) t s (exposure_at m)).
  Definition raises o s m := exposed (raises (operation_at o) s (exposure_at m)).
  Definition with_binding a b := exposed (both (exposure_at a) (exposure_at b)).
  Definition is_exfil_projection p := exfil_vector (exposure_at p).
  Definition after a b := exposed (both (exposure_at a) (exposure_at b)).
  Definition gate_complete a b := uninhabitable (both (exposure_at a) (exposure_at b)).
  Definition session a l := exposed (seen_after (exposure_at a) (map exposure_at l)).
  Definition session_risk a l := worst_risk a l.
End projection.

Module labels.
  Definition valid z := labelled (label_at z) =? z.
  Definition join a b := labelled (mix (label_at a) (label_at b)).
  Definition flows_to a b := flows_to (label_at a) (label_at b).
  Definition conf l := conf_rank (conf (label_at l)).
  Definition integ l := integ_rank (integ (label_at l)).
  Definition authority l := auth_rank (auth (label_at l)).
  Definition provenance l := bits (map (prov (label_at l)) sources).
  Definition derivation l := deriv_number (deriv (label_at l)).
  Definition expired observed ttl now := expired observed ttl now.
End labels.

Module labelling.
  Definition conf_bits z := bits (conf_defects (conf_given z)).
  Definition integ_bits z := 4 * bits (integ_defects (integ_given z)).
  Definition auth_bits z := 16 * bits (auth_defects (auth_given z)).
  Definition prov_bits z := 128 * bits (map (prov_given z) sources).
  Definition deriv_bits z := 8192 * bits (deriv_defects (deriv_given z)).
  Definition make c i a p d := labelled (label_given c i a p d).
  Definition lowers_conf l s d := releases (conf_rank (conf (label_at l))) s d.
  Definition lower_conf l s d := labelled (lower_conf (label_at l) s d).
  Definition raises_integ l s d := promotes (integ_rank (integ (label_at l))) s d 2.
  Definition raise_integ l s d := labelled (raise_integ (label_at l) s d).
  Definition raises_authority l s d := promotes (auth_rank (auth (label_at l))) s d 3.
  Definition raise_authority l s d := labelled (raise_authority (label_at l) s d).
  Definition propagate l p := labelled (made_from (label_at l) (map label_at p)).
  Definition to_exposure l := exposed (to_exposure (label_at l)).
  Definition join_observed a b := older a b.
  Definition join_ttl a b := shorter a b.
End labelling.

Module sinks.
  Definition known_sink z := match sink_at z with Some _ => true | None => false end.
  Definition exfil z := leaves (requirement_at (sink_at z)).
  Definition required_authority z := auth_rank (needs_auth (requirement_at (sink_at z))).
  Definition required_integrity z := integ_rank (needs_integ (requirement_at (sink_at z))).
  Definition requires_verified z := verified (requirement_at (sink_at z)).
  Definition reversible z := undone (requirement_at (sink_at z)).
  Definition secret_to_exfil l z := secret_leaves (label_at l) (sink_at z).
  Definition flow_failures l z observed ttl now :=
    rule_set (breaks (label_at l) (sink_at z) (expired observed ttl now)).
End sinks.

Module flow.
  Definition default_sink o := sink_number (default_sink (operation_at o)).
  Definition ceiling z := labelled (accepts (sink_at z)).
  Definition meets l z observed ttl now :=
    fits (label_at l) (sink_at z) (expired observed ttl now).
  Definition first_rule s := rule_number (find (fun r =>
    bit s (match r with SecretLeaves => 0 | AuthorityTooLow => 1 | IntegrityTooLow => 2
           | WebLeaves => 3 | Stale => 4 | Unverified => 5 end)) rules).
  Definition check_flow l z observed ttl now :=
    rule_number (check_flow (label_at l) (sink_at z) (expired observed ttl now)).
End flow.

Module verdict.
  (* A level that is none of the three is denied like never, and asked about like never. *)
  Definition level_given l := match level_at l with Some l => l | None => Never end.
  Definition denials l (leaving bad : bool) :=
    bits [negb (granted_level (level_given l)); leaving; bad].
  Definition asks l (owed gates fit undo evidence by_evidence : bool) :=
    bits [owed; match level_given l with Always => false | _ => true end && negb evidence;
          negb fit && negb undo && negb (by_evidence && evidence);
          gates && negb (by_evidence && evidence)].
  Definition denied_for a o l z bad :=
    bits [negb (granted_level (Model.level_of (capability_at a) (operation_at o)));
          secret_leaves (label_at l) (sink_at z); bad;
          match sink_at z with Some _ => false | None => true end].
  Definition asked_for a s o e p (fit : bool) z evidence by_evidence :=
    asks (lattice.level_of a o) (lattice.obliged s o) (exposure.gates e p) fit
      (sinks.reversible z) evidence by_evidence.
  Definition verdict denied asked discharged :=
    verdict_number (if negb (denied =? 0) then Deny else
      if existsb (fun a => asks_at asked a && negb (asks_at discharged a)) Model.asks then Ask else Allow).
  Definition budget_suffices spent cost limit := budget_suffices spent cost limit.
  Definition remaining spent limit := remaining spent limit.
  Definition depth_falls old new := depth_falls old new.
  Definition time_valid nbf exp now := time_valid nbf exp now.
End verdict.

Module session.
  Definition called a s o e p l z stale bad evidence by_evidence :=
    {| authority_held := capability_at a; owed := ops_at s; operation_called := operation_at o;
       seen := exposure_at e; could := exposure_at p; value := label_at l; into := sink_at z;
       stale := stale; bad_release := bad; evidence := evidence;
       evidence_opens_the_gate := by_evidence |}.
  Definition judge a s o e p l z observed ttl now bad evidence by_evidence discharged :=
    verdict_number (judge (called a s o e p l z (Model.expired observed ttl now) bad evidence
      by_evidence) (asks_at discharged)).
  Definition step_caps a b := lattice.meet a b.
  Definition step_exposure a b := exposure.join a b.
  Definition step_obligations s t := ops (union (ops_at s) (ops_at t)).
  Definition step_spent spent cost limit := pay limit spent cost.
  Definition session_caps a l := heyting.chain_caps a l.
  Definition session_exposure a l := projection.session a l.
  Definition session_obligations a l := heyting.chain_obligations a l.
  Definition session_spent spent limit costs := spent_after limit spent costs.
End session.
