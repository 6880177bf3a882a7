// New mail that the page was told of is announced by the browser, where its owner allowed it.

function announce(news) {
  const { announce: id, title, body, url } = news.dataset;
  // Of several open pages the last one wins: the same tag is shown once.
  const shown = new Notification(title, { body, tag: `postroom-${id}` });
  shown.addEventListener("click", () => {
    shown.close();
    window.focus();
    window.location.assign(url);
  });
}

document.addEventListener("htmx:after:swap", () => {
  const allowed = "Notification" in window && Notification.permission === "granted";
  for (const news of document.querySelectorAll("[data-announce]")) {
    news.remove();
    if (allowed) announce(news);
  }
});
