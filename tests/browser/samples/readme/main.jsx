// The README's component in a page.

import { StrictMode, version } from "react";
import { createRoot } from "react-dom/client";
import Chat from "./Chat.jsx";

document.body.dataset.react = version;
const model = new URLSearchParams(location.search).get("model");
createRoot(document.body.appendChild(document.createElement("div"))).render(
  <StrictMode>
    <Chat model={model} />
  </StrictMode>,
);
