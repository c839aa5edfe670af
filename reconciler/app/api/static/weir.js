// Pages are rendered by the server. This keeps them current: server-sent events say that something
// changed, and the part of the page that shows it is fetched again and put in place.
"use strict";
(() => {
  const root = document.documentElement;
  const live = document.getElementById("live-state");
  const fragment = document.querySelector("[data-fragment]");
  const again = document.querySelector("[data-again]");
  const QUIET_MS = 5000;
  const AGAIN_MS = [1000, 30000];
  let timer = null;
  let last = 0;
  let source = null;
  let failures = 0;

  const stored = (() => { try { return localStorage.getItem("weir-theme"); } catch { return null; } })();
  if (stored) root.dataset.theme = stored;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("weir-theme", root.dataset.theme); } catch { /* private mode */ }
  });

  function say(state, text) {
    live.dataset.state = state;
    live.querySelector("span:last-child").textContent = text;
  }

  // Ask for this page. A redirect means that another replica leads: only the browser itself can follow it there.
  async function ask(query) {
    const answer = await fetch(location.pathname + query, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") location.reload();
    return answer;
  }

  async function refresh() {
    if (!fragment) return;
    last = Date.now();
    try {
      const answer = await ask("?part=1");
      if (answer.type === "opaqueredirect") return say("off", "another replica leads, going there");
      if (answer.status === 404) return say("off", "it is not there any more");
      if (!answer.ok) return say("off", `no answer now (HTTP ${answer.status}), trying again`);
      const html = await answer.text();
      if (source?.readyState === EventSource.OPEN) say("on", "live");
      const busy = fragment.contains(document.activeElement) && document.activeElement.matches("input, button");
      if (busy || String(getSelection()) !== "") return;
      const open = new Set([...fragment.querySelectorAll("details[open]")].map((each) => each.id));
      const focused = document.activeElement && fragment.contains(document.activeElement) ? document.activeElement.id : "";
      fragment.innerHTML = html;
      for (const each of fragment.querySelectorAll("details")) if (each.id) each.open = open.has(each.id);
      if (focused) document.getElementById(focused)?.focus();
      filter();
    } catch { say("off", "connection lost, trying again"); }
  }

  function soon() {
    if (timer !== null) return;
    timer = setTimeout(() => { timer = null; refresh(); }, Math.max(150, 1000 - (Date.now() - last)));
  }

  function filter() {
    const box = document.getElementById("filter");
    if (!box) return;
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of document.querySelectorAll("tr[data-text]")) {
      row.hidden = !words.every((word) => row.dataset.text.includes(word));
      if (!row.hidden) shown += 1;
    }
    document.getElementById("shown").textContent = words.length ? `${shown} shown` : "";
  }
  document.getElementById("filter")?.addEventListener("input", filter);

  const wait = () => Math.min(AGAIN_MS[0] * 2 ** failures++, AGAIN_MS[1]);

  // The browser opens a stream again that was cut, but gives up for good when it is refused (503: nobody leads yet) or
  // redirected to another host. Then it is opened here, and refresh() finds the leader meanwhile.
  function connect() {
    const about = fragment.dataset.job;
    source = new EventSource("/api/v1/live");
    source.addEventListener("open", () => { failures = 0; say("on", "live"); soon(); });
    source.addEventListener("error", () => {
      say("off", "connection lost, trying again");
      if (source.readyState === EventSource.CLOSED) lost();
    });
    source.addEventListener("gone", () => { say("off", "this replica leads no more, looking for the leader"); source.close(); lost(); });
    source.addEventListener("job", (event) => { if (!about || JSON.parse(event.data).name === about) soon(); });
    source.addEventListener("removed", soon);
  }

  function lost() {
    soon();
    setTimeout(connect, wait());
  }

  if (fragment) {
    connect();
    setInterval(() => { if (Date.now() - last >= QUIET_MS && !document.hidden) soon(); }, 1000);
  }

  // The page of an error that passes by itself: it is loaded again when there is something else to see.
  async function retry() {
    try { if ((await ask(location.search)).ok) location.reload(); } catch { /* nobody answers yet */ }
    setTimeout(retry, wait());
  }
  if (again) setTimeout(retry, wait());

  // Acting: with a token only. It is exchanged for a cookie that scripts cannot read.
  const dialog = document.getElementById("token-dialog");
  const told = document.getElementById("told");
  const headers = { "Content-Type": "application/json", "X-Weir-Request": "page" };

  async function call(method, path, body) {
    const answer = await fetch(path, { method, headers, body: body ? JSON.stringify(body) : undefined });
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error([data.error || `HTTP ${answer.status}`, data.hint].filter(Boolean).join("; "));
    return data;
  }

  document.getElementById("token").addEventListener("click", () => dialog.showModal());
  document.getElementById("token-close").addEventListener("click", () => dialog.close());
  document.getElementById("token-out").addEventListener("click", async () => {
    await call("DELETE", "/api/v1/session").catch(() => {});
    location.reload();
  });
  document.getElementById("token-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = document.getElementById("token-value");
    try {
      await call("PUT", "/api/v1/session", { token: field.value });
      location.reload();
    } catch (error) {
      document.getElementById("token-error").textContent = error.message;
      field.select();
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    const { action, job } = button.dataset;
    if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
    button.disabled = true;
    try {
      told.textContent = (await call("POST", `/api/v1/jobs/${encodeURIComponent(job)}/actions/${action}`)).message;
      told.className = "notice";
    } catch (error) {
      told.textContent = error.message;
      told.className = "notice bad";
    }
    button.disabled = false;
    button.blur();
    soon();
  });
})();
