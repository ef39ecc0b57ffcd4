// What the page says of a result, and of the arithmetic at a logit and a label.

/** Say how a result stands to the right one. */
function verdictOf(format, { got, right, ulps, flushed }) {
  if (got === right) return { kind: "right", text: "right" };
  if (Number.isNaN(got)) return { kind: "lost", text: `NaN instead of ${brief(right)}` };
  if (!Number.isFinite(got)) return { kind: "lost", text: `infinite instead of ${brief(right)}` };
  if (flushed) return { kind: "flushed", text: "flushed to 0: subnormal" };
  if (got === 0) return { kind: "lost", text: `0 instead of ${brief(right)}` };
  if (right !== 0 && Math.sign(got) !== Math.sign(right)) return { kind: "lost", text: `wrong sign, ${ulpText(ulps)}` };
  const count = digitsRight(got, right);
  const kept = count === 0 ? "no digit right" : `${count} digit${count > 1 ? "s" : ""} right`;
  return { kind: shareKept(format, ulps) === 0 ? "lost" : "off", text: `${kept}, ${ulpText(ulps)}` };
}

function ulpText(ulps) {
  if (!Number.isFinite(ulps)) return "∞ ULP";
  if (ulps < 0.095) return `${brief(Number(ulps.toPrecision(1)))} ULP`;
  return `${ulps < 9.95 ? ulps.toFixed(1) : ulps < 9999.5 ? Math.round(ulps).toLocaleString("en") : brief(ulps)} ULP`;
}

/** Say what is certain of the arithmetic: no word about how a system computes. */
function whyOf(format, x, z, plain) {
  const tail = Math.exp(-Math.abs(x)), { name, precision, least_exponent: least } = format;
  const smallest = 2 ** (least - precision + 1), facts = [];
  if (tail < 2 ** (-precision - 1) && (x > 0 || z === 0)) {
    facts.push(
      x > 0
        ? `sigmoid(x) is 1 − ${brief(tail)}. The numbers of ${name} next to 1 are ${brief(2 ** -precision)} below and ` +
          `${brief(2 ** (1 - precision))} above, so it rounds to 1. What is computed from this 1 has lost the rest: ` +
          `${z === 1 ? "sigmoid(x) − 1 gives 0, " : ""}1 − sigmoid(x) gives 0, and the logarithm of that is −∞.`
        : `sigmoid(x) is ${brief(tail)}, and 1 − sigmoid(x) rounds to 1 in ${name}: what is computed from this 1 ` +
          `has lost ${brief(tail)}, and its logarithm is 0. sigmoid(x) itself keeps its digits.`,
    );
  }
  if (Math.abs(x) > Math.log(2) * (2 - least)) {
    facts.push(`exp(${brief(Math.abs(x))}) is more than the largest number of ${name}, and comes as ∞.`);
  }
  if (Math.abs(x) > -Math.log(smallest / 2)) {
    facts.push(`exp(−|x|) is less than half of the smallest number of ${name}, and rounds to 0.`);
  } else if (tail < 2 ** least) {
    facts.push(`exp(−|x|) is subnormal in ${name}: it has fewer digits than other numbers, and some libraries flush it to 0.`);
  }
  const sigmoid = 1 / (1 + Math.exp(-x)), gap = Math.abs(sigmoid - z);
  if (plain && z > 0 && z < 1 && gap < z / 20) {
    const rest = gap < 1e-12 ? "equal to" : `within ${brief(gap)} of`;
    facts.push(`sigmoid(x) is ${rest} the label: subtracting them cancels leading digits, and the rounding of sigmoid(x) is left.`);
  }
  return facts.join(" ");
}

/** Say in one sentence how many systems are right, of verdicts with their errors by quantity. */
function summaryOf(verdicts) {
  const text = Object.entries(verdicts).map(([quantity, several]) => {
    const count = (test) => several.filter(test).length;
    const close = count(({ ulps }) => ulps <= 1), lost = count(({ kind }) => kind === "lost");
    const right = count(({ kind }) => kind === "right");
    const parts = [`${right} of ${several.length} ${right === 1 ? "is" : "are"} right to the last digit`];
    if (close > right) parts.push(`${close} within 1 ULP`);
    if (lost) parts.push(`${lost} without a right digit`);
    return `${quantity}: ${parts.join(", ")}`;
  }).join("; ");
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
