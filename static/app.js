// The few things that pages cannot do by markup alone. Everything is delegated from the document,
// so that it holds for whatever is swapped in later.

const POLL_VISIBLE = 2000;
const POLL_HIDDEN = 30000;
const TOAST_LASTS = 6000;
const UNDO_LASTS = 20000;

// --- windows: a fragment with a <dialog> arrives in #window and is opened -----------------------

let openerId = "";

function showWindow() {
  const dialog = document.querySelector("#window dialog");
  if (!dialog || dialog.open) return;
  dialog.showModal();
  const wrong = dialog.querySelector(WRONG);
  (wrong || dialog.querySelector("[autofocus]") || dialog).focus();
  syncSecurity(dialog);
}

function closeWindow() {
  const dialog = document.querySelector("#window dialog");
  if (dialog) dialog.close();
}

// Focus comes back to the button that opened the window, which may be a new element by now; where
// its row is gone, to what came in its place and could not take the focus behind the window.
document.addEventListener("close", (event) => {
  if (event.target.tagName !== "DIALOG") return;
  event.target.remove();
  const next = document.getElementById(openerId) || document.querySelector("#content [autofocus]");
  if (!next) return;
  next.focus();
  next.removeAttribute("autofocus");
}, true);

// --- the first wrong field of a form has the focus ----------------------------------------------

const WRONG = "[aria-invalid=true], .segments.is-invalid input:checked, "
  + ".segments.is-invalid:not(:has(:checked)) .segment:first-child input";

// --- what was typed and not sent is not dropped without a word ----------------------------------

function isUnsent(form) {
  if (form.dataset.sending !== undefined) return false;
  if (form.dataset.unsent === "typed") return true; // it came back, for something was wrong
  return [...form.querySelectorAll("input:not([type=hidden]), textarea")].some((field) =>
    field.value !== field.defaultValue);
}

// --- the signature follows From, for as long as it stands in the text as it was put there --------

function findSignature(text, signature) {
  const at = signature ? `\n${text}\n`.indexOf(`\n${signature}\n`) : -1;
  return at < 0 ? null : { at, end: at + signature.length };
}

// What is above it and below it stays: what was written, and what a reply quotes.
function withSignature(text, before, after, quoted) {
  const found = findSignature(text, before);
  if (!found && (before || quoted === undefined || !text.endsWith(quoted))) return text;
  const above = text.slice(0, found ? found.at : text.length - quoted.length);
  const below = found ? text.slice(found.end) : quoted;
  return (after ? above.replace(/\n{0,2}$/, `\n\n${after}`) : above.replace(/\n{0,2}$/, "")) + below;
}

function rememberSignature(form) {
  const { mailbox, text } = form.elements;
  const signature = mailbox.selectedOptions[0]?.dataset.signature || "";
  const found = findSignature(text.defaultValue, signature);
  form.dataset.signature = signature;
  if (found) form.dataset.quoted = text.defaultValue.slice(found.end);
  else if (form.dataset.unsent !== "typed") form.dataset.quoted = text.defaultValue;
}

function followFrom(form) {
  const { mailbox, text } = form.elements;
  const { signature: before, quoted } = form.dataset;
  const after = mailbox.selectedOptions[0].dataset.signature || "";
  const [value, prefilled] = [text.value, text.defaultValue].map((one) =>
    withSignature(one, before, after, quoted));
  const { selectionStart } = text;
  text.defaultValue = prefilled; // not typed by anybody
  text.value = value;
  text.setSelectionRange(selectionStart, selectionStart);
  form.dataset.signature = after;
}

// --- connection security follows the port, and the other way round, until a person chooses ------

const USUAL = {
  smtp: { 25: "NONE", 465: "TLS", 587: "STARTTLS" },
  imap: { 143: "STARTTLS", 993: "TLS" },
};
const USUAL_PORT = {
  smtp: { NONE: "25", TLS: "465", STARTTLS: "587" },
  imap: { NONE: "143", TLS: "993", STARTTLS: "143" },
};

function followPort(block) {
  const protocol = block.dataset.protocol;
  if (block.dataset.chosen === "security") return;
  const usual = usualSecurity(block);
  for (const one of block.querySelectorAll(`[name=${protocol}_security]`)) {
    // "25" on the way to "2525" leaves nothing behind.
    one.checked = usual ? one.value === usual : one.defaultChecked;
  }
}

function usualSecurity(block) {
  const protocol = block.dataset.protocol;
  const server = block.querySelector(`[name=${protocol}_server]`);
  return USUAL[protocol][server.value.trim().split(":").pop()];
}

function followSecurity(block, security) {
  const protocol = block.dataset.protocol;
  const server = block.querySelector(`[name=${protocol}_server]`);
  block.dataset.chosen = "security";
  const [host, port] = server.value.trim().split(":");
  if (host && (!port || port === server.dataset.filledIn)) {
    server.dataset.filledIn = USUAL_PORT[protocol][security];
    server.value = `${host}:${server.dataset.filledIn}`;
  }
}

// What came with the page and is not what its port suggests was chosen by somebody.
function keepChosen(root) {
  for (const block of root.querySelectorAll("[data-protocol]:not([data-chosen])")) {
    const chosen = block.querySelector(`[name=${block.dataset.protocol}_security]:checked`);
    const usual = usualSecurity(block);
    if (chosen && usual && chosen.value !== usual) block.dataset.chosen = "security";
  }
}

function syncSecurity(root) {
  for (const block of root.querySelectorAll("[data-protocol]")) {
    const chosen = block.querySelector(`[name=${block.dataset.protocol}_security]:checked`);
    block.querySelector("[data-unencrypted]").hidden = !chosen || chosen.value !== "NONE";
  }
}

// --- how a test ended is seen, wherever the window stands ---------------------------------------

function showVerdict() {
  const verdict = document.querySelector("dialog [data-arrived]");
  if (!verdict) return;
  delete verdict.dataset.arrived;
  verdict.scrollIntoView({ block: "nearest" });
}

// --- the frame of a message is as high as its document ------------------------------------------

function fitFrame(frame) {
  const inside = frame.contentDocument;
  if (!inside || !inside.body) return;
  const fit = () => {
    frame.style.height = `${inside.documentElement.scrollHeight}px`;
  };
  fit();
  new ResizeObserver(fit).observe(inside.body);
}

// --- toasts, polling, keys ----------------------------------------------------------------------

function fadeToasts() {
  // What failed stays until it was read and closed.
  for (const line of document.querySelectorAll(".toast-line:not([data-seen]):not(.toast-failed)")) {
    line.dataset.seen = "";
    setTimeout(() => line.remove(), line.querySelector(".btn-undo") ? UNDO_LASTS : TOAST_LASTS);
  }
}

function sayNoAnswer() {
  const toasts = document.getElementById("toasts");
  if (toasts.querySelector(".toast-failed")) return;
  toasts.append(document.getElementById("network-trouble").content.cloneNode(true));
  fadeToasts();
}

let pollTimer = null;

function poll() {
  clearTimeout(pollTimer);
  const element = document.querySelector("[data-poll]");
  if (!element) return;
  element.dispatchEvent(new CustomEvent("postroom:poll"));
  pollTimer = setTimeout(poll, document.hidden ? POLL_HIDDEN : POLL_VISIBLE);
}

function leaveWhenFoldersAreHere() {
  const waiting = document.querySelector("[data-until-folders]");
  if (!waiting) return;
  const folders = `#folders [data-mailbox="${waiting.dataset.untilFolders}"] a`;
  if (document.querySelector(folders)) window.location.reload();
}

function moveInList(step) {
  const rows = [...document.querySelectorAll(".message-row > a")];
  if (rows.length === 0) return;
  const open = rows.findIndex((row) => row.parentElement.classList.contains("is-open"));
  const next = rows[Math.min(Math.max(open + step, 0), rows.length - 1)];
  next.focus();
  next.click();
}

function markOpen(row) {
  for (const other of document.querySelectorAll(".message-row.is-open")) {
    other.classList.remove("is-open");
    other.firstElementChild.removeAttribute("aria-current");
  }
  row.classList.add("is-open");
  row.firstElementChild.setAttribute("aria-current", "true");
}

// Where there is room for one pane only, the message takes the place of the list, and the focus.
function showReading() {
  document.getElementById("content").classList.add("has-message");
  const list = document.querySelector(".list-pane");
  if (list && getComputedStyle(list).display === "none") document.getElementById("reading").focus();
}

// --- listeners ----------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (!target) return;
  const closer = target.closest("[data-close]");
  if (closer && closer.closest("dialog")) {
    event.preventDefault();
    closeWindow();
    return;
  }
  const copier = target.closest("[data-copy]");
  if (copier) {
    const source = document.querySelector(copier.dataset.copy);
    const folded = source.closest("details");
    if (folded) folded.open = true; // what is not shown cannot be selected
    source.select();
    const done = () => { copier.textContent = copier.dataset.copied; };
    if (navigator.clipboard) navigator.clipboard.writeText(source.value).then(done);
    else if (document.execCommand("copy")) done();
    return;
  }
  const opener = target.closest("[hx-target='#window']");
  if (opener && !opener.closest("dialog")) {
    openerId = (opener.id ? opener : opener.querySelector("[id]") || opener).id;
  }
  const chooser = target.closest("[data-choose]");
  if (chooser) {
    const { choose, value } = chooser.dataset;
    document.querySelector(`[name="${choose}"][value="${value}"]`).click();
  }
  const shower = target.closest("[data-open]");
  if (shower) {
    const field = document.querySelector(shower.dataset.open);
    field.closest("details").open = true;
    field.focus();
  }
  if (target.closest("[data-dismiss]")) target.closest(".toast-line").remove();
  const row = target.closest(".message-row");
  if (row && !(event.ctrlKey || event.metaKey || event.shiftKey)) markOpen(row);
});

document.addEventListener("input", (event) => {
  const block = event.target.closest("[data-protocol]");
  if (block && event.target.name.endsWith("_server")) followPort(block);
  if (block) syncSecurity(block.parentElement);
  const unsent = event.target.closest("[data-unsent]");
  if (unsent) delete unsent.dataset.sending;
});

document.addEventListener("submit", (event) => {
  if ("unsent" in event.target.dataset) event.target.dataset.sending = "";
});

window.addEventListener("beforeunload", (event) => {
  if ([...document.querySelectorAll("[data-unsent]")].some(isUnsent)) event.preventDefault();
});

document.addEventListener("change", (event) => {
  const block = event.target.closest("[data-protocol]");
  if (block && event.target.name.endsWith("_security")) followSecurity(block, event.target.value);
  if (block) syncSecurity(block.parentElement);
  const form = event.target.closest("[data-write]");
  if (form && event.target.name === "mailbox") followFrom(form);
});

document.addEventListener("keydown", (event) => {
  // Enter in the field of a button of its own presses that button, not the form's.
  const own = event.key === "Enter" && event.target.closest("[data-enter]");
  if (own) {
    event.preventDefault();
    own.querySelector("button").click();
    return;
  }
  const typing = event.target.closest("input, textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "j") moveInList(1);
  if (event.key === "k") moveInList(-1);
  const keyed = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (keyed) keyed.click();
});

document.addEventListener("load", (event) => {
  if (event.target instanceof HTMLIFrameElement && "fit" in event.target.dataset) {
    fitFrame(event.target);
  }
}, true);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) poll();
});

document.addEventListener("postroom:close-window", closeWindow);

document.addEventListener("htmx:after:swap", () => {
  showWindow();
  showVerdict();
  keepChosen(document);
  syncSecurity(document);
  fadeToasts();
  leaveWhenFoldersAreHere();
  const opened = document.getElementById("opened");
  if (opened && document.title !== opened.dataset.title) {
    document.title = opened.dataset.title;
    showReading();
  }
});

document.addEventListener("htmx:error", sayNoAnswer);

// Postroom's own errors bring their words with them; those of a proxy before it do not.
document.addEventListener("htmx:response:error", (event) => {
  const { response, text } = event.detail.ctx;
  if (response.status >= 500 && !text.includes('id="toasts"')) sayNoAnswer();
});

document.documentElement.classList.add("has-js");
// New mail changes the list of folders; whether it is open is for the person to say.
htmx.config.morphIgnore.push("open");
fadeToasts();
for (const form of document.querySelectorAll("[data-write]")) rememberSignature(form);
keepChosen(document);
const wrongOnPage = document.querySelector(WRONG);
if (wrongOnPage) wrongOnPage.focus();
syncSecurity(document);
for (const frame of document.querySelectorAll("iframe[data-fit]")) fitFrame(frame);
pollTimer = setTimeout(poll, POLL_VISIBLE);
