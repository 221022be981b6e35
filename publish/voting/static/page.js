// The page for voting. Every text of others is set as text, never as HTML.

const token = location.pathname.split("/").pop();
const api = new URL("../api/", location.href);
const images = new URL(`${token}/`, location.href);
const PENDING = `vote ${token}`;
const CHOICES = ["left", "right", "both_good", "both_bad", "unsafe"];
const SAID = { left: "First image is better", right: "Second image is better", both_good: "Both good", both_bad: "Both bad", unsafe: "Unsafe" };
const LONGEST_WAIT_MS = 15_000;
const MOST_TRIES = 4;
const OWN_PAGE = '<meta name="application-name" content="sfhq campaign">'; // is in what the kit answers with 404
const UNSEEN_MS = 500; // a pair that is shown for less was not looked at: the answer is a second click of a double one

const find = (id) => document.getElementById(id);
const pair = find("pair");
const buttons = [...document.querySelectorAll("[data-choice]")];

let task = null; // what is on the screen
let undoable = null;
let shownAt = 0;
let isReady = false; // both images are on the screen for long enough, and no answer is on its way

class Refused extends Error {
  constructor(status) {
    super(`status ${status}`);
    this.status = status;
  }
}

const sleep = (ms) =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
    addEventListener("online", done);
  });

// Whether the kit itself has refused. A proxy that has too much to do, or was started anew, says something else.
async function isFinal(answer) {
  if (![404, 409, 422].includes(answer.status)) return false;
  try {
    return typeof (await answer.json()).error === "string";
  } catch {
    return false;
  }
}

// Ask until there is an answer. The same vote may be sent many times: it is stored once.
async function ask(name, body) {
  for (let wait = 400; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    let problem = "No connection. Your answer is kept, and sent again by itself.";
    try {
      const answer = await fetch(new URL(name, api), {
        method: body ? "POST" : "GET",
        headers: { "X-Campaign-Token": token, ...(body && { "Content-Type": "application/json" }) },
        body: body && JSON.stringify(body),
        cache: "no-store",
        signal: AbortSignal.timeout(20_000),
      });
      if (answer.ok) {
        const state = await answer.json();
        tell("");
        return state;
      }
      if (await isFinal(answer)) throw new Refused(answer.status);
      problem = "The server cannot store answers at the moment. Yours is kept, and sent again by itself.";
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    tell(problem);
    await sleep(wait);
  }
}

function tell(text) {
  const banner = find("banner");
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
}

function say(text) {
  find("said").textContent = text;
}

// What happened to an answer in an unusual way is also seen, until the next answer.
function notice(text) {
  find("notice").textContent = text;
  find("notice").hidden = !text;
}

function keep(vote) {
  try {
    if (vote) localStorage.setItem(PENDING, JSON.stringify(vote));
    else localStorage.removeItem(PENDING);
  } catch {
    // Without storage, a vote lives as long as the page.
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(PENDING));
  } catch {
    return null;
  }
}

function setReady(ready) {
  isReady = ready;
  pair.setAttribute("aria-busy", String(!ready));
  for (const button of buttons) button.disabled = !ready;
  find("undo").disabled = !ready && task !== null ? true : !undoable;
}

// Whether the kit cannot give an image, or the browser cannot show it, and not the connection or a proxy.
// What is asked for here takes the place of a damaged copy that the browser may have kept.
async function isRefused(address) {
  try {
    const answer = await fetch(address, { cache: "reload", signal: AbortSignal.timeout(60_000) });
    if (answer.status === 404) return (await answer.text()).includes(OWN_PAGE);
    if (!answer.ok) return false;
    await answer.blob();
    return (answer.headers.get("content-type") ?? "").startsWith("image/");
  } catch {
    return false;
  }
}

// Show an image, and return whether it can be seen: without a connection it is waited for, as answers are.
async function load(image, path) {
  const address = new URL(path, images).href;
  let tries = 0;
  for (let wait = 400; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    image.src = address;
    try {
      await image.decode();
      image.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight));
      return true;
    } catch {
      if (image.src !== address) return true; // another pair is on the screen
      if ((await isRefused(address)) && ++tries === MOST_TRIES) return false;
      if (image.src !== address) return true;
      tell("An image could not be loaded. It is asked for again by itself.");
      await sleep(wait);
      image.removeAttribute("src");
    }
  }
}

async function show(state, said = "") {
  task = state.task;
  undoable = state.undo;
  const total = state.answered + state.remaining;
  find("bar").max = Math.max(total, 1);
  find("bar").value = state.answered;
  find("count").textContent = `${state.answered} answered, ${state.remaining} to go`;
  pair.classList.remove("sending");
  for (const button of buttons) button.classList.remove("chosen");
  pair.hidden = !task;
  find("end").hidden = Boolean(task);
  if (!task) {
    setReady(false);
    showEnd(state, said);
    return;
  }
  setReady(false);
  pair.classList.add("loading");
  const shown = task;
  find("prompt").textContent = task.prompt;
  find("prompt").scrollTop = 0;
  markLong();
  const [left, right] = [find("left"), find("right")];
  left.removeAttribute("src");
  right.removeAttribute("src");
  left.alt = "First image";
  right.alt = "Second image";
  const isSeen = await Promise.all([load(left, task.left), load(right, task.right)]);
  if (task !== shown) return;
  tell("");
  if (isSeen.includes(false)) {
    const { vote_id, pair_id } = task;
    await send("not-shown", { vote_id, pair_id });
    return;
  }
  pair.classList.remove("loading");
  shownAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, UNSEEN_MS));
  if (task !== shown) return;
  setReady(true);
  giveFocusBack();
  say(`${said ? `${said}. ` : ""}Prompt: ${task.prompt}`);
  for (const path of state.coming) new Image().src = new URL(path, images).href;
}

function markLong() {
  const prompt = find("prompt");
  prompt.classList.toggle("more", prompt.scrollTop + prompt.clientHeight < prompt.scrollHeight - 2);
}

function showEnd(state, said) {
  const isDone = state.remaining === 0;
  find("end-title").textContent = isDone ? "All done. Thank you!" : "Nothing to do at the moment";
  find("end-text").textContent = isDone
    ? `You gave ${state.answered} answers. Every one of them is stored; you can close this page.`
    : "The pairs that are left are on other people's screens. Some may come back: look again in a few minutes.";
  find("again").hidden = isDone;
  find("tick").toggleAttribute("hidden", !isDone);
  say(said);
  find("end").focus();
}

// A button that is disabled loses the focus; people who use a keyboard find it where it was.
let focused = null;
function giveFocusBack() {
  if (focused && document.activeElement === document.body) focused.focus({ preventScroll: true });
}

const UNUSUAL = {
  left_out: "A pair could not be shown, and is left out. Here is the next one",
  known: "This pair was answered already",
  undone: "This answer was taken back",
  finished: "This pair has all its answers by now. Here is the next one",
  not_last: "Only the last answer can be taken back",
};

async function send(name, body, said = "") {
  try {
    const state = await ask(name, body);
    keep(null);
    const words = { stored: said, ...UNUSUAL };
    notice(UNUSUAL[state.outcome] ?? "");
    await show(state, words[state.outcome] ?? "");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 404) return stop(); // what is kept is sent when the link works again
    keep(null);
    const said = "The answer belonged to no pair. Here is the current one";
    notice(said);
    await start(said);
  }
}

async function answer(choice) {
  if (!isReady || !task) return;
  focused = document.activeElement;
  const seconds = Math.round(performance.now() - shownAt) / 1000;
  const vote = { vote_id: task.vote_id, pair_id: task.pair_id, choice, seconds };
  setReady(false);
  find("undo").disabled = true;
  pair.classList.add("sending");
  for (const button of buttons) button.classList.toggle("chosen", button.dataset.choice === choice);
  keep(vote);
  await send("vote", vote, `${SAID[choice]}, stored`);
}

async function undo() {
  if (!undoable || find("undo").disabled) return;
  focused = document.activeElement;
  const vote_id = undoable;
  setReady(false);
  find("undo").disabled = true;
  await send("undo", { vote_id }, "Taken back");
}

function stop() {
  task = null;
  pair.hidden = true;
  find("end").hidden = false;
  find("end-title").textContent = "This link does not work any more";
  find("end-text").textContent = kept()?.vote_id
    ? "Your last answer is kept in this browser, and the others are stored. Ask the person who sent you the link, and open it again."
    : "Your answers up to now are stored. Ask the person who sent you the link.";
  find("again").hidden = true;
  find("tick").toggleAttribute("hidden", true);
  find("undo").disabled = true;
  find("end").focus();
}

async function start(said = "") {
  try {
    const pending = kept();
    if (pending?.vote_id) {
      // Of a page that was closed, or a laptop that was shut, before there was an answer.
      await ask("vote", pending).catch((error) => {
        if (!(error instanceof Refused) || error.status === 404) throw error;
      });
      keep(null);
    }
    const state = await ask("state");
    find("name").textContent = document.title = state.campaign.name;
    find("guidelines-text").replaceChildren(
      ...state.campaign.guidelines.split(/\n\s*\n/).map((text) => {
        const paragraph = document.createElement("p");
        paragraph.textContent = text.trim();
        return paragraph;
      }),
    );
    await show(state, said);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    stop();
  }
}

for (const button of buttons) {
  button.addEventListener("click", (event) => {
    if (event.detail < 2) answer(button.dataset.choice); // the rest of a double click, however slow it is set
  });
}
find("undo").addEventListener("click", undo);
find("again").addEventListener("click", () => start());
find("help").addEventListener("click", () => find("guidelines").showModal());

find("prompt").addEventListener("scroll", markLong);
addEventListener("resize", markLong);

addEventListener("keydown", (event) => {
  // A key that is held down presses a button again and again.
  if (event.repeat && event.key === "Enter") event.preventDefault();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !find("keys").checked) return;
  if (find("guidelines").open) {
    if (event.key === "?") find("guidelines").close();
    return;
  }
  const choice = CHOICES[Number(event.key) - 1];
  if (choice) answer(choice);
  else if (event.key.toLowerCase() === "u" || event.key === "Backspace") undo();
  else if (event.key === "?") find("guidelines").showModal();
  else return;
  event.preventDefault();
});

start();
