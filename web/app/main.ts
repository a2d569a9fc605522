import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { settings } from "./state/settings.svelte.js";
import { words } from "./words/words.svelte.js";

const target = document.getElementById("app")!;
// The first words are in the right language, or none.
await words.speak(settings.language).catch(() => {});
target.replaceChildren();
mount(App, { target });
