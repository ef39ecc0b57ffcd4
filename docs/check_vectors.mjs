// Checks a loss written in JavaScript against test vectors: node check_vectors.mjs FILE.json...
import { readFileSync } from "node:fs";

function loss(x, z) { // put your own here
  const w = (x >= 0 ? 1 : 0) - z;
  return (w === 0 ? 0 : x * w) + Math.log1p(Math.exp(-Math.abs(x)));
}
function gradient(x, z) { // its derivative in x
  const e = Math.exp(-Math.abs(x)), small = e / (1 + e);
  return x >= 0 ? 1 - z - small : small - z;
}

const view = new DataView(new ArrayBuffer(8));
function fromBits(text) { // of float32 or float64: JavaScript reads no hexadecimal floats
  if (text.length === 10) return view.setUint32(0, Number(text)), view.getFloat32(0);
  return view.setBigUint64(0, BigInt(text)), view.getFloat64(0);
}
function ulpOf(scale, single) {
  view.setFloat64(0, Math.max(scale, single ? 2 ** -126 : 2 ** -1022));
  view.setBigUint64(0, view.getBigUint64(0) & 0x7ff0000000000000n); // its power of two
  return view.getFloat64(0) * 2 ** (single ? -23 : -52);
}
function ulps(got, right, scale, single) {
  if (Object.is(got, right) || got === right) return 0;
  const error = Math.abs(got - right) / ulpOf(scale, single);
  return Number.isFinite(error) ? error : Infinity; // where infinities or NaN take part
}

function fail(message) {
  console.error(message);
  process.exit(2);
}
const files = process.argv.slice(2);
if (files.length === 0) fail("usage: node check_vectors.mjs FILE.json...");
let worst = 0;
for (const file of files) {
  let count = 0, largest = 0, content;
  try {
    content = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    fail(`${file}: ${error.message}`);
  }
  const single = content.dtype === "float32", round = single ? Math.fround : (x) => x;
  for (const vector of content.vectors) {
    if (!vector.logits_bits || !vector.labels_bits || !vector.gradient_bits) continue;
    const [x, z] = [fromBits(vector.logits_bits), fromBits(vector.labels_bits)];
    for (const [name, f] of Object.entries({ value: loss, gradient })) {
      const got = round(f(x, z)), right = fromBits(vector[`${name}_bits`]);
      const error = ulps(got, right, fromBits(vector[`${name}_scale_bits`]), single);
      if (error > 4) console.log(`${error} ULP: ${got}, right is ${right}, the ${name} of ${vector.id}`);
      largest = Math.max(largest, error);
    }
    count++;
  }
  if (count === 0) fail(`${file}: no vectors of a loss`);
  console.log(`${file}: ${count} vectors, largest error ${largest.toPrecision(3)} ULP`);
  worst = Math.max(worst, largest);
}
process.exit(worst > 4 ? 1 : 0);
