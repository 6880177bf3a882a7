// A marked element becomes an editor. [data-editor] holds a <textarea> of plain text, which serves
// without JavaScript, the tools, the area to write in, and a <textarea data-html> that is sent
// instead of the first one. What is set and pasted is kept as harmless as mail/signature.py keeps
// it; the server does so again.

const EDITOR_KEEPS = {
  ALLOWED_TAGS: "#text a b blockquote br div em i li ol p s span strong u ul".split(" "),
  ALLOWED_ATTR: ["href"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel):/i,
  RETURN_DOM_FRAGMENT: true,
};
// Formats that the server would take away again.
const EDITOR_WITHOUT = ["d", "Shift-5", "Shift-6"];

function makeEditor(root) {
  const plain = root.querySelector("textarea:not([data-html])");
  const html = root.querySelector("[data-html]");
  const box = root.querySelector("[data-box]");
  const area = root.querySelector("[role=textbox]");
  const editor = new Squire(area, {
    sanitizeToDOMFragment: (text) => document.importNode(DOMPurify.sanitize(text, EDITOR_KEEPS), true),
  });
  for (const key of EDITOR_WITHOUT) {
    for (const control of ["Ctrl-", "Meta-"]) editor.setKeyHandler(control + key, null);
  }
  endFormatsWithTheLine(editor);
  editor.setHTML(html.value);
  editor.addEventListener("input", () => {
    if (html.value === editor.getHTML()) return;
    html.value = editor.getHTML();
    html.dispatchEvent(new Event("input", { bubbles: true }));
  });
  addTools(root, area, editor);

  const wasWrong = plain.getAttribute("aria-invalid");
  const hadFocus = document.activeElement === plain;
  if (wasWrong) area.setAttribute("aria-invalid", wasWrong);
  plain.removeAttribute("aria-invalid");
  root.querySelector(`label[for="${plain.id}"]`).addEventListener("click", () => area.focus());
  plain.hidden = plain.disabled = true;
  html.disabled = box.hidden = false;
  if (hadFocus) area.focus();
  return editor;
}

// What was switched off at the end of a line stays off in the next one: the line is split inside
// the element that the cursor has just left.
function endFormatsWithTheLine(editor) {
  const split = editor.splitBlock;
  editor.splitBlock = (...given) => {
    const off = ["B", "I", "U", "S"].filter((tag) => !editor.hasFormat(tag));
    split.apply(editor, given);
    for (const tag of off) {
      if (editor.hasFormat(tag)) editor.changeFormat(null, { tag });
    }
    return editor;
  };
}

function addTools(root, area, editor) {
  const buttons = root.querySelectorAll("[data-format]");
  const link = linkBar(root, area, editor);
  const reflect = () => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(editor.hasFormat(button.dataset.format)));
    }
  };
  for (const event of ["pathChange", "select", "input"]) editor.addEventListener(event, reflect);
  for (const button of buttons) {
    // The cursor stays where it is.
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => {
      const tag = button.dataset.format;
      const on = editor.hasFormat(tag);
      if (tag === "A") link.toggle();
      else if (tag === "UL") on ? editor.removeList() : editor.makeUnorderedList();
      else editor.changeFormat(on ? null : { tag }, on ? { tag } : null);
      reflect();
    });
  }
}

function linkBar(root, area, editor) {
  const opener = root.querySelector("[data-format=A]");
  const bar = root.querySelector("[data-link-bar]");
  const field = bar.querySelector("input");
  const error = bar.querySelector(".field-error");

  const present = () => {
    const { startContainer } = editor.getSelection();
    const element = startContainer instanceof Element ? startContainer : startContainer.parentElement;
    const found = element.closest("a");
    return found && area.contains(found) ? found : null;
  };
  const refuse = (refused) => {
    error.hidden = !refused;
    field.toggleAttribute("aria-invalid", refused);
    if (refused) {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", error.id);
      field.focus();
    }
  };
  const show = (shown) => {
    bar.hidden = !shown;
    opener.setAttribute("aria-expanded", String(shown));
    field.value = shown && present() ? present().getAttribute("href") : "";
    refuse(false);
    (shown ? field : area).focus();
  };
  bar.querySelector("[data-link=set]").addEventListener("click", () => {
    const address = linkAddress(field.value);
    refuse(!address);
    if (!address) return;
    const whole = present();
    if (whole) {
      const range = document.createRange();
      range.selectNodeContents(whole);
      editor.setSelection(range);
    }
    show(false);
    editor.makeLink(address);
  });
  bar.querySelector("[data-link=remove]").addEventListener("click", () => {
    show(false);
    editor.removeLink();
  });
  bar.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    show(false);
  });
  return { toggle: () => show(bar.hidden) };
}

// What people type for an address of the web or of a person, whole; empty for anything else.
function linkAddress(typed) {
  const text = typed.trim();
  if (/^(?:https?:\/\/|mailto:|tel:)\S+$/i.test(text)) return text;
  if (/^[^\s@:/]+@[^\s@:/]+$/.test(text)) return `mailto:${text}`;
  return /^[^\s:/?#@]+\.[^\s:/?#@]+(?::\d+)?(?:[/?#]\S*)?$/.test(text) ? `https://${text}` : "";
}

for (const root of document.querySelectorAll("[data-editor]")) makeEditor(root);
