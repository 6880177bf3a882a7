// The settings of a mailbox: what a choice means before it is saved, and the browser's leave to
// show notifications.

function showWhatFollows(form) {
  const chosen = form.querySelector("[name=process_choice]:checked");
  if (!chosen) return;
  for (const one of form.querySelectorAll("[data-follows]")) {
    one.hidden = one.dataset.follows !== chosen.value;
  }
  form.querySelector("[data-not-saved]").hidden =
    chosen.value === form.querySelector("[data-saved]").dataset.saved;
}

function notificationTrouble() {
  if (!window.isSecureContext) return "insecure";
  if (!("Notification" in window)) return "missing";
  return Notification.permission === "denied" ? "blocked" : "";
}

function explainNotifications(form) {
  const trouble = form.elements.notifies.checked ? notificationTrouble() : "";
  for (const one of form.querySelectorAll("[data-notifications]")) {
    one.hidden = one.dataset.notifications !== trouble;
  }
}

for (const form of document.querySelectorAll("[data-mailbox-settings]")) {
  form.addEventListener("change", (event) => {
    if (event.target.name === "process_choice") showWhatFollows(form);
    if (event.target.name !== "notifies") return;
    explainNotifications(form);
    // Browsers ask only while somebody clicks.
    if (event.target.checked && !notificationTrouble()) {
      Notification.requestPermission().then(() => explainNotifications(form));
    }
  });
  showWhatFollows(form);
  explainNotifications(form);
}
