// A chat as small as it gets, with all that the hooks have.

import { useChat, usePhi } from "phi-wasm/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

const wishes = new URLSearchParams(location.search);
/** What the hooks were in, one after another. */
self.seen = [];

function Chat() {
  const { phi, status, progress, error, load, pause, unload } = usePhi();
  const chat = useChat(phi, { max_tokens: 1900 });
  const states = `${status} ${chat.status}`;
  if (self.seen.at(-1) !== states) self.seen.push(states);
  const begin = (model) => load({ model, backend: "cpu", storage: "none", bits: 32 });
  const refused = ({ code, message }) => (self.refused = { code, message });
  const send = (event) => {
    event.preventDefault();
    chat.send(new FormData(event.target).get("question")).catch(refused);
    event.target.reset();
  };
  return (
    <main data-status={status} data-chat={chat.status}>
      <button type="button" id="load" onClick={() => begin(wishes.get("model"))}>
        Load
      </button>
      <button type="button" id="load-large" onClick={() => begin(wishes.get("large"))}>
        Load a large one
      </button>
      <button type="button" id="load-nothing" onClick={() => begin("./nowhere.gguf")}>
        Load nothing
      </button>
      <button type="button" id="pause" onClick={pause}>
        Pause
      </button>
      <button type="button" id="unload" onClick={unload}>
        Unload
      </button>
      <progress value={progress?.done} max={progress?.total} />
      <form onSubmit={send}>
        <input name="question" />
      </form>
      <button type="button" id="stop" onClick={chat.stop}>
        Stop
      </button>
      <button type="button" id="again" onClick={() => chat.regenerate().catch(refused)}>
        Again
      </button>
      <button type="button" id="clear" onClick={() => chat.setMessages([])}>
        Clear
      </button>
      {chat.messages.map(({ role, content }, index) => (
        <p key={index} className={role}>
          {content}
        </p>
      ))}
      <output>
        {JSON.stringify({
          code: error?.code,
          finish: chat.stats?.finish,
          failure: chat.error?.message,
        })}
      </output>
    </main>
  );
}

function Page() {
  const [shown, show] = useState(true);
  return (
    <>
      <button type="button" id="leave" onClick={() => show(false)}>
        Leave
      </button>
      {shown && <Chat />}
    </>
  );
}

createRoot(document.body.appendChild(document.createElement("div"))).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
