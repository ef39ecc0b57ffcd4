// Numbers of a format { name, precision, least_exponent } as doubles, exact results as text, and what lies between them.

const view = new DataView(new ArrayBuffer(8));

/** floor(log2 |x|); -Infinity of 0. */
function exponentOf(x) {
  if (x === 0) return -Infinity;
  view.setFloat64(0, x);
  const biased = (view.getUint32(0) >>> 20) & 0x7ff;
  return biased ? biased - 1023 : exponentOf(x * 2 ** 64) - 64;
}

/** The double next to x in the direction of a sign. */
function next(x, sign) {
  view.setFloat64(0, x);
  view.setBigInt64(0, view.getBigInt64(0) + BigInt(Math.sign(x) * sign));
  return view.getFloat64(0);
}

/** The double nearest to a text, the rest, and the text: the reference of a result. */
function exactOf(text) {
  const high = Number(text);
  return { text, high, low: restOf(text, high) };
}

function restOf(text, high) {
  if (!Number.isFinite(high)) return 0;
  const [, sign, digits, fraction = "", power = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([-+]?\d+))?$/.exec(text);
  const decimal = Number(power) - fraction.length;
  const e = high === 0 ? 0 : Math.max(exponentOf(high), -1022) - 52;
  const mantissa = e < -1000 ? (high * 2 ** 1000) / 2 ** (e + 1000) : high / 2 ** e;
  const ten = 10n ** BigInt(Math.max(decimal, 0)), two = 2n ** BigInt(Math.max(e, 0));
  const tenth = 10n ** BigInt(Math.max(-decimal, 0)), half = 2n ** BigInt(Math.max(-e, 0));
  const exact = BigInt(sign + digits + fraction) * ten;
  return ratio(exact * half - BigInt(mantissa) * two * tenth, tenth * half);
}

function ratio(a, b) {
  if (a === 0n) return 0;
  const shift = 4 * (a.toString(16).length - b.toString(16).length) - 64;
  const quotient = shift < 0 ? (a << BigInt(-shift)) / b : a / (b << BigInt(shift));
  return Number(quotient) * 2 ** Math.ceil(shift / 2) * 2 ** Math.floor(shift / 2);  // 2 ** shift may be 0
}

/** An exact number, rounded to a format once: where its double is the middle of two numbers, the rest decides. */
function nearest(format, { high, low }) {
  if (format.precision === 53 || high === 0 || !Number.isFinite(high)) return high;
  view.setFloat64(0, high);
  const odd = view.getUint8(7) & 1;
  const x = low !== 0 && !odd ? next(high, Math.sign(low)) : high;  // rounded to odd: no middle
  const unit = 2 ** (Math.max(exponentOf(x), format.least_exponent) - format.precision + 1);
  const floor = Math.floor(x / unit), part = x / unit - floor;
  const rounded = (part > 0.5 || (part === 0.5 && floor % 2 !== 0) ? floor + 1 : floor) * unit;
  return Math.abs(rounded) < 2 ** (2 - format.least_exponent) ? rounded : Math.sign(x) * Infinity;
}

/** The place of a number in the order of its format: 0 has 0, the smallest positive number 1. */
function placeOf(format, x) {
  if (x === 0) return 0n;
  const { precision, least_exponent: least } = format;
  const e = Number.isFinite(x) ? Math.max(exponentOf(x), least) : 2 - least;
  const mantissa = Number.isFinite(x) ? Math.abs(x) / 2 ** (e - precision + 1) : 2 ** (precision - 1);
  const place = BigInt(e - least) * 2n ** BigInt(precision - 1) + BigInt(mantissa);
  return x < 0 ? -place : place;
}

/** The number at a place. */
function numberAt(format, place) {
  const { precision, least_exponent: least } = format;
  const magnitude = place < 0n ? -place : place, sign = place < 0n ? -1 : 1;
  if (magnitude >= placeOf(format, Infinity)) return sign * Infinity;
  const above = magnitude >> BigInt(precision - 1);  // binades above the subnormal numbers and the first one
  const e = above > 1n ? Number(above) - 1 : 0;
  const mantissa = Number(magnitude - BigInt(e) * 2n ** BigInt(precision - 1));
  return sign * mantissa * 2 ** (least + e - precision + 1);
}

/** The error of a result in ULP of the scale, whose binary exponent is given; as the suite counts it. */
function ulpsOf(format, got, exact, right, scaleExponent) {
  if (Number.isNaN(got)) return Infinity;
  if (!Number.isFinite(right)) return got === right ? 0.5 : Infinity;
  const { precision, least_exponent: least } = format;
  if (!Number.isFinite(got)) {  // the number that would come after the largest one, for what lies between
    const next = 2 ** (2 - least), largest = 2 ** (1 - least) * (2 - 2 ** (1 - precision));
    if (!(Math.abs(exact.high) > largest && got * exact.high > 0)) return Infinity;
    got = Math.sign(got) * next;
  }
  const unit = Math.max(scaleExponent, least) - precision + 1;
  const error = Math.abs(got - exact.high - exact.low);
  return unit < -1000 ? (error * 2 ** 1000) / 2 ** (unit + 1000) : error / 2 ** unit;
}

/** Decimal digits that a format holds. */
const digitsHeld = (format) => format.precision * Math.log10(2);

/** The share of these that an error leaves: all of a correctly rounded result; 0 where less than 1/20 of a digit is. */
function shareKept(format, ulps) {
  const held = digitsHeld(format), lost = Math.log10(Math.max(ulps, 0.5) / 0.5);
  return lost < held - 0.05 ? 1 - lost / held : 0;
}

/** The shortest decimal that no other number of the format is nearest to: sign, digits and the exponent of the first. */
function shortest(format, x) {
  for (let count = 0; ; count++) {
    const text = x.toExponential(count);
    if (count < 16 && nearest(format, { high: Number(text), low: 0 }) !== x) continue;
    const [, sign, first, rest = "", power] = /^(-?)(\d)(?:\.(\d+))?e([-+]\d+)$/.exec(text);
    return { sign, digits: first + rest, exponent: Number(power) };
  }
}

/** How many leading digits agree: the error is at most half a unit of the last of them. */
function digitsRight(got, right) {
  if (!Number.isFinite(got) || !Number.isFinite(right) || got === 0 || right === 0) return 0;
  const exponent = Number(right.toExponential().split("e")[1]);
  return Math.max(0, Math.floor(exponent + 1 - Math.log10(2 * Math.abs(got - right))));
}

/** A result as text in two parts: the digits that are right, and those that are wrong. */
function marked(format, got, right) {
  if (Number.isNaN(got)) return ["", "NaN"];
  if (!Number.isFinite(got)) return got === right ? [named(got), ""] : ["", named(got)];
  if (got === right) return [decimal(shortest(format, got)), ""];
  if (got === 0 || right === 0 || !Number.isFinite(right)) return ["", decimal(shortest(format, got))];
  const a = shortest(format, got), b = shortest(format, right);
  // As many places as the right result has: 1 beside 0.99999994 is 1.00000000.
  const missing = a.exponent - a.digits.length - (b.exponent - b.digits.length);
  const digits = a.digits + "0".repeat(Math.max(0, Math.min(missing, 17 - a.digits.length)));
  const kept = Math.max(0, Math.min(digitsRight(got, right) + a.exponent - b.exponent, digits.length - 1));
  return divided({ ...a, digits }, kept);
}

const named = (x) => (x < 0 ? "−∞" : "∞");

const decimal = (number) => divided(number, number.digits.length)[0];

/** Write digits as people do, cut after the first `kept` of them. */
function divided({ sign, digits, exponent }, kept) {
  const minus = sign && "−";
  if (exponent < -4 || exponent > 6) {
    const text = minus + digits[0] + (digits.length > 1 ? `.${digits.slice(1)}` : "");
    const cut = kept === 0 ? 0 : minus.length + kept + (kept > 1 ? 1 : 0);
    return [text.slice(0, cut), `${text.slice(cut)}`].map((part, i) => part + (i === (cut < text.length ? 1 : 0) ? power(exponent) : ""));
  }
  const before = "0".repeat(Math.max(0, -exponent)), all = before + digits + "0".repeat(Math.max(0, exponent + 1 - digits.length));
  const whole = Math.max(exponent, 0) + 1;
  const text = minus + all.slice(0, whole) + (all.length > whole ? `.${all.slice(whole)}` : "");
  if (kept >= digits.length) return [text, ""];
  if (kept === 0) return ["", text];
  const place = before.length + kept;
  const cut = minus.length + place + (place > whole ? 1 : 0);
  return [text.slice(0, cut), text.slice(cut)];
}

const power = (exponent) => `e${exponent < 0 ? "−" : ""}${Math.abs(exponent)}`;

/** A number in about three digits. */
function brief(x) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : named(x);
  if (x === 0) return "0";
  const [digits, exponent] = x.toExponential(2).split("e");
  const plain = Math.abs(x) >= 1e-3 && Math.abs(x) < 1e6;
  return (plain ? String(Number(x.toPrecision(3))) : String(Number(digits)) + power(Number(exponent))).replace("-", "−");
}

/** A double as `float.fromhex` reads it. */
const hex = (x) => `${x < 0 ? "-" : ""}0x${Math.abs(x).toString(16)}`;
