// Connect mail: the address chooses the service and fills in the login, until a person does.

const connectForm = () => document.querySelector("[data-connect]");
const isChosen = (field) => field.dataset.chosen !== undefined;

function addressParts(form) {
  const address = form.elements.address.value.trim();
  const [local, domain] = address.split("@");
  return { address, local, domain: (domain || "").toLowerCase() };
}

function followAddress(form) {
  const { domain } = addressParts(form);
  const { service } = form.elements;
  if (!isChosen(service)) {
    const match = [...service.options].find((one) =>
      domain && one.dataset.domains.split(" ").includes(domain));
    service.value = match ? match.value : "";
  }
  followService(form);
}

function followService(form) {
  const { address, local } = addressParts(form);
  const { login, service } = form.elements;
  const { login: wanted } = service.selectedOptions[0].dataset;
  if (!isChosen(login)) login.value = wanted === "local_part" ? local : address;
  explainService(form, service.selectedOptions[0]);
}

function explainService(form, { value, dataset }) {
  const hint = form.querySelector("[data-app-password-hint]");
  hint.hidden = dataset.appPassword === undefined;
  hint.querySelector("a").hidden = !dataset.appPassword;
  hint.querySelector("a").href = dataset.appPassword || "#";
  form.querySelector("[data-unencrypted-hint]").hidden = dataset.unencrypted === undefined;
  form.querySelector("[data-oauth-hint]").hidden = dataset.oauth === undefined;
  form.querySelector("[data-smtp-login-field]").hidden = dataset.smtpLogin !== "typed";
  const other = form.querySelector("[data-other]");
  if (other) other.hidden = value !== "other";
}

// No service has the domain: its servers are looked for, once for each domain.
function searchUnknown(form) {
  const { domain } = addressParts(form);
  if (form.elements.service.value || !domain.includes(".") || form.dataset.searched === domain) {
    return;
  }
  form.dataset.searched = domain;
  form.querySelector("[data-find] button").click();
}

function takeProposal(form) {
  const found = form.querySelector("[data-proposed]");
  if (!found) return;
  const { proposed } = found.dataset;
  delete found.dataset.proposed;
  if (isChosen(form.elements.service)) return;
  form.elements.service.value = proposed;
  followService(form);
}

// What comes with the page was chosen by somebody, or by an earlier look at the address.
function prepareConnect(form) {
  if (form.dataset.prepared !== undefined) return;
  form.dataset.prepared = "";
  const { login, service } = form.elements;
  if (login.value) login.dataset.chosen = "";
  if (service.value) service.dataset.chosen = "";
  else if (form.elements.address.value) followAddress(form);
  explainService(form, service.selectedOptions[0]);
  searchUnknown(form);
}

document.addEventListener("input", (event) => {
  const form = connectForm();
  if (!form || !form.contains(event.target)) return;
  if (event.target.name === "address") followAddress(form);
  if (event.target.name === "login") event.target.dataset.chosen = "";
});

document.addEventListener("change", (event) => {
  const form = connectForm();
  if (!form || !form.contains(event.target)) return;
  if (event.target.name === "address") searchUnknown(form);
  if (event.target.name !== "service") return;
  event.target.dataset.chosen = "";
  followService(form);
});

document.addEventListener("htmx:after:swap", () => {
  const form = connectForm();
  if (!form) return;
  prepareConnect(form);
  takeProposal(form);
});

prepareConnect(connectForm());
