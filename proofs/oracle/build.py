"""Law: the oracle is the Coq model and nothing else: compiled by coqc, extracted, compiled to
native code, with a driver that only reads and writes numbers.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from proofs.oracle.signatures import SIGNATURES
from proofs.statements import COQ

TOOLS: Final = ("coqc", "ocamlopt")
INSTALL: Final = "apt-get install -y --no-install-recommends coq ocaml-nox"
FILES: Final = ("Model", "Packing", "Oracle")


class NoTools(RuntimeError):
    """Coq or OCaml is not installed; the message says what installs it."""


class Broken(RuntimeError):
    """The oracle does not compile."""


# Whole numbers travel as hexadecimal, lists with commas between, `_` is the empty list.
READING: Final = """
open Oracle
let rec positive s i n = (* the number of digits s.[i..], most significant first, above n *)
  if i = String.length s then n else
  let d = int_of_string ("0x" ^ String.make 1 s.[i]) in
  let add b = function None -> if b then Some XH else None
    | Some p -> Some (if b then XI p else XO p) in
  positive s (i + 1) (add (d land 1 <> 0) (add (d land 2 <> 0) (add (d land 4 <> 0)
    (add (d land 8 <> 0) n))))
let number s = if s.[0] = '-'
  then match positive s 1 None with None -> Z0 | Some p -> Zneg p
  else match positive s 0 None with None -> Z0 | Some p -> Zpos p
let truth s = s = "t"
let numbers s = if s = "_" then [] else List.map number (String.split_on_char ',' s)
let hex p =
  let rec bits p = match p with XH -> [1] | XO p -> 0 :: bits p | XI p -> 1 :: bits p in
  let rec digits l acc = match l with
    | [] -> acc
    | a :: b :: c :: d :: l ->
        digits l (String.make 1 "0123456789abcdef".[a + 2 * b + 4 * c + 8 * d] ^ acc)
    | l -> digits (l @ [0]) acc in
  digits (bits p) ""
let show = function Z0 -> "0" | Zpos p -> hex p | Zneg p -> "-" ^ hex p
let say b = if b then "t" else "f"
let answer line = match String.split_on_char ' ' line with
"""
LOOP: Final = """  | _ -> "?"
let () = try while true do print_endline (answer (input_line stdin)) done with End_of_file -> ()
"""


def driver(returns_bool: frozenset[str]) -> str:
    """The OCaml text that reads a question a line and answers it."""
    lines = [READING]
    for name, kinds in SIGNATURES.items():
        module, _, function = name.partition(".")
        words = [f"a{i}" for i in range(len(kinds.split()))]
        given = " ".join(f"({reader(k)} {w})" for k, w in zip(kinds.split(), words, strict=True))
        writer = "say" if name in returns_bool else "show"
        pattern = "; ".join([f'"{name}"', *words])
        lines.append(f"  | [{pattern}] -> {writer} (Coq_{module}.{function} {given})\n")
    return "".join([*lines, LOOP])


def reader(kind: str) -> str:
    return "truth" if kind == "bool" else "numbers" if kind.endswith("*") else "number"


def run(place: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def build(place: Path, returns_bool: frozenset[str], coq: Path = COQ) -> Path:
    """The oracle's program, made in `place` from the model in `coq`.

    Raises NoTools, Broken.
    """
    if lacks := [tool for tool in TOOLS if not shutil.which(tool)]:
        raise NoTools(f"{', '.join(lacks)} not installed: {INSTALL}")
    for name in FILES:
        shutil.copy(coq / f"{name}.v", place)
        run(place, "coqc", f"{name}.v")
    modules = sorted({name.partition(".")[0] for name in SIGNATURES})
    wanted = " ".join(f"Oracle.{module}" for module in modules)
    (place / "Extract.v").write_text(
        "From Coq Require Import Extraction ExtrOcamlBasic.\nRequire Import Oracle.\n"
        f'Extraction "oracle.ml" {wanted}.\n',
        encoding="utf-8",
    )
    run(place, "coqc", "Extract.v")
    (place / "driver.ml").write_text(driver(returns_bool), encoding="utf-8")
    sources = ("oracle.mli", "oracle.ml", "driver.ml")
    run(place, "ocamlopt", "-w", "-a", *sources, "-o", "oracle")
    return place / "oracle"
