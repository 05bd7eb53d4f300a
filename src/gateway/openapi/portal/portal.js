"use strict";

// Tries an operation as its form says, and shows what came as text.
async function attempt(form) {
  const answer = form.querySelector(".answer");
  const headers = {};
  const query = new URLSearchParams();
  let path = form.dataset.path;
  let body;
  for (const field of form.querySelectorAll("[data-in]")) {
    const { name, value } = field;
    switch (field.dataset.in) {
      case "path":
        path = path.replace("{" + name + "}", encodeURIComponent(value));
        break;
      case "query":
        if (value !== "") query.append(name, value);
        break;
      case "header":
        if (value !== "") headers[name] = value;
        break;
      case "type":
        if (value !== "") headers["Content-Type"] = value;
        break;
      case "body":
        if (value !== "") body = value;
        break;
    }
  }
  if (body === undefined) delete headers["Content-Type"];
  const key = document.getElementById("header-name").value;
  const secret = document.getElementById("header-value").value;
  if (key !== "" && secret !== "") headers[key] = secret;
  const asked = query.toString();
  answer.hidden = false;
  answer.textContent = "…";
  try {
    const method = form.dataset.method;
    const response = await fetch(path + (asked ? "?" + asked : ""), { method, headers, body });
    let text = await response.text();
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // It is no JSON, and is shown as it is.
    }
    const lines = [...response.headers].map(([name, value]) => name + ": " + value);
    answer.textContent = [response.status + " " + response.statusText, ...lines, "", text].join("\n");
  } catch (error) {
    answer.textContent = String(error);
  }
}

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form);
  });
}
