// Writes jcs.json: RFC 8785 by an engine whose number formatting the RFC prescribes.
// `node tests/vectors/jcs.mjs`; needed again only when a case is added below.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

const view = new DataView(new ArrayBuffer(8));
const ofBits = (hex) => (view.setBigUint64(0, BigInt("0x" + hex)), view.getFloat64(0));
const toBits = (x) => (view.setFloat64(0, x), view.getBigUint64(0).toString(16).padStart(16, "0"));

// RFC 8785 is JSON.stringify with members sorted by UTF-16 code units, which is what sort() does.
const jcs = (v) =>
  v === null || typeof v !== "object" ? JSON.stringify(v)
  : Array.isArray(v) ? "[" + v.map(jcs).join(",") + "]"
  : "{" + Object.keys(v).sort().map((k) => JSON.stringify(k) + ":" + jcs(v[k])).join(",") + "}";

// Numbers: RFC 8785 appendix B, the edges of every format, and doubles of all sizes.
const bits = `0000000000000000 8000000000000000 0000000000000001 8000000000000001
7fefffffffffffff ffefffffffffffff 4340000000000000 c340000000000000 4430000000000000
44b52d02c7e14af5 44b52d02c7e14af6 44b52d02c7e14af7 444b1ae4d6e2ef4e 444b1ae4d6e2ef4f
444b1ae4d6e2ef50 3eb0c6f7a0b5ed8c 3eb0c6f7a0b5ed8d 3eb0c6f7a0b5ed8e 41b3de4355555553
41b3de4355555554 41b3de4355555555 41b3de4355555556 41b3de4355555557 becbf647612f3696
43143ff3c1cb0959`.split(/\s+/);
for (let e = -30; e <= 30; e++)
  for (const m of [1, 1.5, 9.999999999999999, 1.0000000000000002, 123456.789])
    bits.push(toBits(Number(`${m}e${e}`)), toBits(-Number(`${m}e${e}`)));
for (let e = -1074; e <= 1023; e += e >= -30 && e < 80 ? 1 : 37)
  for (const d of [0n, 1n, -1n]) {
    const b = BigInt("0x" + toBits(2 ** e)) + d;
    if (b >= 0n) bits.push(b.toString(16).padStart(16, "0"));
  }
let seed = 0x9e3779b97f4a7c15n;
const next = () => {
  for (const [s, left] of [[13n, true], [7n, false], [17n, true]])
    seed = BigInt.asUintN(64, seed ^ (left ? seed << s : seed >> s));
  return seed;
};
while (bits.length < 1800) {
  const b = next().toString(16).padStart(16, "0");
  if (Number.isFinite(ofBits(b))) bits.push(b);
  // All exponents are equally likely above; most numbers people write are near one.
  bits.push(toBits(Number(next() % 10n ** 18n) / 10 ** Number(next() % 24n)));
}
const numbers = [...new Set(bits)].map((b) => [b, JSON.stringify(ofBits(b))]);

const texts = [
  ["rfc-3.2.2", String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`],
  ["rfc-3.2.3", String.raw`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`],
  ["empty-object", "{}"], ["empty-array", "[]"], ["null", "null"], ["string", '"x"'], ["zero", "-0"],
  ["minus-zero-float", "-0.0"], ["white-space", ' { "b" : 1 ,\n"a":\t2 } '],
  ["nested", '{"b":{"d":1,"c":[{"f":1,"e":2}]},"a":[]}'],
  ["controls", JSON.stringify(Array.from({ length: 0x21 }, (_, i) => String.fromCharCode(i)).join("") + "\u007f\u0080\u2028\u2029")],
  ["key-order", '{"aa":1,"a":2,"B":3,"\\u0000":4,"":5,"a\\u0000":6,"_":7,"~":8}'],
  ["surrogate-order", String.raw`{"\uffff":1,"\ud800\udc00":2,"\ue000":3,"\udbff\udfff":4}`],
  ["not-normalised", String.raw`{"e\u0301":1,"\u00e9":2}`],
  ["largest-integers", "[9007199254740991,-9007199254740991]"],
  ["float-integers", "[1.0,10e0,1e15,1e21,1.5e300,5e-324]"],
  ["call", '{"path":"/srv/data/a.txt","recursive":true,"depth":2,"ratio":0.1}'],
];
const objects = texts.map(([id, text]) => {
  const spelled = jcs(JSON.parse(text));
  const digest = createHash("sha256").update("nucleus/args/v1\0").update(spelled).digest("hex");
  return { id, text, jcs: spelled, digest };
});

const refused = [
  ["duplicate", '{"a":1,"a":1}', "Two readers take two of them."],
  ["duplicate-escaped", String.raw`{"a":1,"\u0061":2}`, "The same key in two spellings."],
  ["duplicate-deep", '[{"b":[{"a":1,"a":2}]}]', "At any depth."],
  ["surrogate-high", String.raw`"\ud800"`, "Half a character has no UTF-8."],
  ["surrogate-low", String.raw`{"k":"\udc00x"}`, "The other half."],
  ["surrogate-key", String.raw`{"\ud800":1}`, "Also in a key."],
  ["surrogate-swapped", String.raw`"\ude00\ud83d"`, "The halves in the wrong order."],
  ["integer-big", "9007199254740992", "Beyond 2**53 - 1 two readers read two integers."],
  ["integer-small", "[-9007199254740992]", "On the other side too."],
  ["integer-huge", "1" + "0".repeat(5000), "Five thousand digits."],
  ["float-overflow", "1e400", "It would be infinite."],
  ["whole-float", "1e20", "Its one spelling is an integer beyond 2**53 - 1, which no reader takes back."],
  ["whole-float-edge", "[9007199254740992.0]", "The first of them."],
  ["nan", "NaN", "Not JSON."], ["infinity", "[-Infinity]", "Not JSON."],
  ["deep-arrays", "[".repeat(66) + "]".repeat(66), "More than 64 levels."],
  ["deep-objects", '{"a":'.repeat(66) + "1" + "}".repeat(66), "The same."],
  ["bottomless", "[".repeat(20000), "Recursion without an end."],
  ["empty", "", "Nothing."], ["space", "  ", "White space."], ["two", "1 2", "Two values."],
  ["trailing-comma", "[1,]", "Not JSON."], ["single-quotes", "{'a':1}", "Not JSON."],
  ["bom", "\ufeff{}", "A byte order mark."], ["comment", "{}//", "Not JSON."],
  ["control", '"a\nb"', "A raw control character."], ["leading-zero", "01", "Not JSON."],
  ["plus", "+1", "Not JSON."], ["dot", "1.", "Not JSON."], ["hex", "0x1", "Not JSON."],
  ["nul", "{}\u0000", "Something after it."],
].map(([id, text, note]) => ({ id, text, note }));

const lines = (rows) => rows.map((r) => "  " + ascii(JSON.stringify(r))).join(",\n");
const ascii = (s) => s.replace(/[\u007f-\uffff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
writeFileSync(
  new URL("jcs.json", import.meta.url),
  `{\n "format": "nucleus-vectors/1",\n "about": "RFC 8785 and the digest of arguments; numbers are IEEE 754 bits and their text",\n` +
    ` "numbers": [\n${lines(numbers)}\n ],\n "objects": [\n${lines(objects)}\n ],\n "refused": [\n${lines(refused)}\n ]\n}\n`,
);
