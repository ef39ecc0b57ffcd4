// The page: its state is in the address, and all it shows follows from state and tables.

const tables = JSON.parse(document.getElementById("tables").textContent);
const formats = Object.fromEntries(Object.entries(tables.dtypes).map(([name, facts]) => [name, { name, ...facts }]));
const { logits, labels } = tables;
const QUANTITIES = ["value", "gradient"];
const PLAIN = "binary_cross_entropy_with_logits";
const MARKS = [-100, -20, -5, 0, 5, 20, 100];
const byId = (id) => document.getElementById(id);

function once(compute) {
  const kept = new Map();
  return (...key) => {
    const name = key.join("|");
    if (!kept.has(name)) kept.set(name, compute(...key));
    return kept.get(name);
  };
}

const withoutRuns = (text) => text.split(" ").flatMap((part) => {
  const [number, count] = part.split("*").reverse();
  return Array(Number(count ?? 1)).fill(number);
});

// --- what was measured ---------------------------------------------------------------------------------------------

const lossOf = (name) => tables.losses.find((loss) => loss.case === name);
const exactRow = once((loss, quantity, label) => lossOf(loss).exact[quantity][label].split(" ").map(exactOf));
const scaleRow = once((loss, quantity, label) => withoutRuns(lossOf(loss).scale_exponents[quantity][label]).map(Number));
const rightRow = once((loss, quantity, label, dtype) => exactRow(loss, quantity, label).map((e) => nearest(formats[dtype], e)));

const resultOf = (system, loss, quantity) =>
  tables.systems[system].results.find((result) => result.case === loss && result.quantity === quantity);

const gotRow = once((system, loss, quantity, label, dtype) => {
  const steps = resultOf(system, loss, quantity)?.steps[dtype]?.[label];
  if (!steps) return null;
  const right = rightRow(loss, quantity, label, dtype), format = formats[dtype];
  return withoutRuns(steps).map((step, i) =>
    step === "0" ? right[i] : step === "nan" ? NaN : numberAt(format, placeOf(format, right[i]) + BigInt(step)));
});

/** All that is known of one result. */
function found(system, quantity, { loss, dtype, label }, i) {
  const row = gotRow(system, loss, quantity, label, dtype);
  if (!row) return null;
  const format = formats[dtype], got = row[i], right = rightRow(loss, quantity, label, dtype)[i];
  const exact = exactRow(loss, quantity, label)[i];
  const ulps = ulpsOf(format, got, exact, right, scaleRow(loss, quantity, label)[i]);
  const subnormal = right !== 0 && Math.abs(right) < 2 ** format.least_exponent;
  const flushed = got === 0 && subnormal && tables.systems[system].flushes.includes(dtype);
  return { got, right, ulps, flushed };
}

const sharesOf = once((system, quantity, loss, dtype, label) => {
  const state = { loss, dtype, label }, right = rightRow(loss, quantity, label, dtype);
  const row = gotRow(system, loss, quantity, label, dtype);
  return row && row.map((got, i) => (got === right[i] ? 1 : shareKept(formats[dtype], found(system, quantity, state, i).ulps)));
});

// --- state ---------------------------------------------------------------------------------------------------------

const closest = (numbers, x) => numbers.reduce((best, each, i) => (Math.abs(each - x) < Math.abs(numbers[best] - x) ? i : best), 0);
const START = { loss: tables.losses[0].case, dtype: "float32" in formats ? "float32" : Object.keys(formats)[0],
  label: labels.length - 1, logit: closest(logits, 20) };
let state = { ...START };

function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1)), given = (name) => asked.has(name) && Number.isFinite(Number(asked.get(name)));
  state = { ...START };
  if (lossOf(asked.get("loss"))) state.loss = asked.get("loss");
  if (asked.get("dtype") in formats) state.dtype = asked.get("dtype");
  if (given("label")) state.label = closest(labels, Number(asked.get("label")));
  if (given("logit")) state.logit = closest(logits, Number(asked.get("logit")));
}

function toAddress() {
  const { loss, dtype } = state;
  const text = new URLSearchParams({ loss, dtype, label: labels[state.label], logit: logits[state.logit] });
  history.replaceState(null, "", `#${text}`);
}

// --- what is shown -------------------------------------------------------------------------------------------------

/** Make an element of HTML. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const nameOf = (system) => {
  const { subject, backends } = tables.systems[system];
  const here = backends.filter((backend) => backend.dtypes.includes(state.dtype)).map((backend) => backend.name);
  return here.length ? [subject, here.join(", ")] : null;
};

/** Their numbers: what is reported, then what is judged. */
const shownSystems = () => tables.systems.map((_, i) => i)
  .sort((a, b) => tables.systems[a].judged - tables.systems[b].judged)
  .filter((i) => nameOf(i) && QUANTITIES.some((quantity) => resultOf(i, state.loss, quantity)));

function cell(system, quantity) {
  const result = resultOf(system, state.loss, quantity), format = formats[state.dtype];
  const data = found(system, quantity, state, state.logit);
  if (!data) {
    const why = result?.failures[state.dtype] ?? (result?.steps[state.dtype] ? "takes labels 0 and 1 alone" : "not measured");
    return [make("td", { role: "cell", class: "none", "data-quantity": quantity }, make("span", { class: "soft" }, `– ${why}`)), null];
  }
  const [good, bad] = marked(format, data.got, data.right), verdict = verdictOf(format, data);
  const number = make("span", { class: "number" }, good);
  if (bad) number.append(make("mark", {}, bad));
  const td = make("td", { role: "cell", class: verdict.kind, "data-quantity": quantity }, number, make("small", {}, verdict.text));
  return [td, { kind: verdict.kind, ulps: data.ulps }];
}

function showTable() {
  const format = formats[state.dtype], body = make("tbody", { role: "rowgroup" });
  const verdicts = { value: [], gradient: [] };
  const reference = (title, note, text) => body.append(make("tr", { role: "row", class: "reference" },
    make("th", { role: "rowheader", scope: "row" }, title, make("small", {}, note)),
    ...QUANTITIES.map((quantity) => make("td", { role: "cell", "data-quantity": quantity }, make("span", { class: "number" }, text(quantity))))));
  const at = (quantity) => exactRow(state.loss, quantity, state.label)[state.logit];
  reference("Exact", "certified, from ball arithmetic", (quantity) => written(at(quantity).text));
  reference("Right", `rounded to ${format.name}`, (quantity) => {
    const right = nearest(format, at(quantity));
    return Number.isFinite(right) ? decimal(shortest(format, right)) : named(right);
  });
  for (const system of shownSystems()) {
    const [subject, backends] = nameOf(system);
    const called = QUANTITIES.map((quantity) => resultOf(system, state.loss, quantity)?.function).find(Boolean);
    const row = make("tr", { role: "row", "data-system": subject }, make("th", { role: "rowheader", scope: "row" }, subject,
      make("small", {}, `on ${backends}`), make("small", { class: "called" }, called)));
    for (const quantity of QUANTITIES) {
      const [td, verdict] = cell(system, quantity);
      row.append(td);
      if (verdict) verdicts[quantity].push(verdict);
    }
    body.append(row);
  }
  byId("results").tBodies[0].replaceWith(body);
  return verdicts;
}

/** An exact result to 20 digits, as it was certified. */
function written(text) {
  const [, sign, first, rest = "", exponent = "0"] = /^(-?)(\d)(?:\.(\d+))?(?:e([-+]?\d+))?$/.exec(text);
  const digits = first + rest;
  const [mantissa, power = ""] = decimal({ sign, digits: digits.slice(0, 20), exponent: Number(exponent) }).split("e");
  return mantissa + (digits.length > 20 ? "…" : "") + (power && `e${power}`);
}

function showStrips() {
  const list = byId("strips");
  list.replaceChildren(...shownSystems().map((system) => {
    const [subject, backends] = nameOf(system);
    const item = make("li", { class: tables.systems[system].judged ? "judged" : "" }, make("span", { class: "name" }, subject, make("small", {}, ` on ${backends}`)));
    for (const quantity of QUANTITIES) {
      const shares = sharesOf(system, quantity, state.loss, state.dtype, state.label);
      if (!shares) { item.append(make("span", { class: "soft empty" }, "–")); continue; }
      const lost = shares.filter((share) => share === 0).length;
      const title = `${subject} on ${backends}, ${quantity}: every digit is lost at ${lost} of ${shares.length} logits`;
      item.append(strip(shares, title));
    }
    return item;
  }));
}

function showCode() {
  const choice = byId("which"), chosen = choice.value;
  choice.replaceChildren(...shownSystems().flatMap((system) => QUANTITIES
    .filter((quantity) => gotRow(system, state.loss, quantity, state.label, state.dtype))
    .flatMap((quantity) => tables.systems[system].backends.map((backend, i) => [backend, i])
      .filter(([backend, i]) => backend.dtypes.includes(state.dtype) && resultOf(system, state.loss, quantity).code[i])
      .map(([backend, i]) => make("option", { value: `${system} ${quantity} ${i}` }, `${tables.systems[system].subject} on ${backend.name}: ${quantity}`)))));
  const options = [...choice.options];
  if (options.some((option) => option.value === chosen)) choice.value = chosen;
  else choice.value = options.find((option) => /^torch .*gradient/.test(option.textContent))?.value ?? options[0]?.value ?? "";
  showLine();
}

function showLine() {
  const [system, quantity, backend] = byId("which").value.split(" ");
  const template = system ? resultOf(system, state.loss, quantity).code[backend] : "";
  byId("code").textContent = template.replaceAll("@dtype@", state.dtype)
    .replaceAll("@logits@", hex(logits[state.logit])).replaceAll("@labels@", hex(labels[state.label]));
}

let drawn = "";
function show() {
  const x = logits[state.logit], z = labels[state.label], format = formats[state.dtype];
  const said = { logit: String(x).replace("-", "−"), label: String(z) };
  byId("loss").value = state.loss;
  byId("dtype").value = state.dtype;
  for (const name of ["logit", "label"]) {
    const slider = byId(name);
    slider.value = state[name];
    slider.setAttribute("aria-valuetext", said[name]);
    byId(`${name}-shown`).textContent = said[name];
  }
  byId("exactly").value = x;
  const verdicts = showTable();
  byId("said").textContent = `Logit ${said.logit}, label ${said.label}, ${format.name}. ${summaryOf(verdicts)}`;
  byId("why").textContent = whyOf(format, x, z, state.loss === PLAIN);
  byId("why").hidden = !byId("why").textContent;
  const picture = [state.loss, state.dtype, state.label].join();
  if (picture !== drawn) showStrips();
  drawn = picture;
  moveStrips(byId("strips"), state.logit);
  showCode();
  toAddress();
}

// --- what is done to it --------------------------------------------------------------------------------------------

const on = (id, event, change) => byId(id).addEventListener(event, ({ target }) => { change(target); show(); });
for (const loss of tables.losses) byId("loss").append(make("option", { value: loss.case }, loss.case));
for (const dtype of Object.keys(formats)) byId("dtype").append(make("option", {}, dtype));
byId("logit").max = logits.length - 1;
byId("label").max = labels.length - 1;
on("loss", "change", (select) => { state.loss = select.value; });
on("dtype", "change", (select) => { state.dtype = select.value; });
on("logit", "input", (slider) => { state.logit = Number(slider.value); });
on("label", "input", (slider) => { state.label = Number(slider.value); });
on("exactly", "change", (field) => { if (field.value !== "" && Number.isFinite(Number(field.value))) state.logit = closest(logits, Number(field.value)); });
byId("which").addEventListener("change", showLine);
byId("strips").addEventListener("click", (event) => {
  const picture = event.target.closest("svg");
  if (!picture) return;
  const { left, width } = picture.getBoundingClientRect();
  state.logit = Math.max(0, Math.min(logits.length - 1, Math.floor((logits.length * (event.clientX - left)) / width)));
  show();
});
byId("copy").addEventListener("click", async ({ target }) => {
  try {
    await navigator.clipboard.writeText(byId("code").textContent);
  } catch {  // a page that was opened as a file may not use the clipboard: select the text instead
    getSelection().selectAllChildren(byId("code"));
    document.execCommand("copy");
  }
  target.textContent = "copied";
  setTimeout(() => { target.textContent = "copy"; }, 1500);
});
byId("explore").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => { fromAddress(); show(); });
for (const place of document.querySelectorAll(".axes")) place.append(axis(logits, MARKS));
fromAddress();
show();
document.body.classList.add("ready");
