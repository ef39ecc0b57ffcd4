// Pictures: the digits that are right, along the logit.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Draw shares between 0 and 1, one per logit, and a line at the current one. */
function strip(shares, title) {
  const count = shares.length;
  let path = "M0 1";
  shares.forEach((share, i) => { path += `V${(1 - share).toFixed(3)}H${i + 1}`; });
  return svg("svg", { viewBox: `0 0 ${count} 1`, preserveAspectRatio: "none", role: "img", "aria-label": title, class: "strip" },
    svg("path", { d: `${path}V1Z`, class: "kept" }),
    svg("line", { y1: 0, y2: 1, class: "here", "vector-effect": "non-scaling-stroke" }));
}

function moveStrips(root, index) {
  for (const line of root.querySelectorAll(".here")) {
    line.setAttribute("x1", index + 0.5);
    line.setAttribute("x2", index + 0.5);
  }
}

/** Marks below the strips. */
function axis(logits, marks) {
  const element = document.createElement("div");
  element.className = "axis";
  element.setAttribute("aria-hidden", "true");
  for (const mark of marks) {
    const label = document.createElement("span");
    label.textContent = String(mark).replace("-", "−");
    label.style.left = `${(100 * (logits.indexOf(mark) + 0.5)) / logits.length}%`;
    element.append(label);
  }
  return element;
}
