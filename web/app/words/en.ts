// English, and the pattern for every other language; as many lines as texts.

import type { ProblemName, Said } from "../state/problems.js";

function some(count: number, what: string): string {
  return count === 0 ? `no ${what}s` : count === 1 ? `one ${what}` : `${count} ${what}s`;
}

export const en = {
  close: "Close",
  cancel: "Cancel",
  skip: "Skip to the conversation",
  nothingKept:
    "This browser keeps nothing for this page: conversations and models are gone when it is " +
    "closed. They stay if you allow this site to store data.",

  screens: {
    welcome: "Welcome",
    chat: "Chat",
    models: "Models and storage",
    settings: "Settings",
    privacy: "Privacy",
  },

  welcome: {
    title: "A language model of your own",
    text:
      "Phi runs whole on this device. It needs the internet once, to fetch a model, and never " +
      "again.",
    private:
      "Nothing you type leaves this device. There is no account and no server that reads along.",
    offline: "It works without a network. Try it in aeroplane mode.",
    once: "A model is downloaded once and kept. You can delete it at any time.",
    installFirst:
      "On an iPhone or iPad, add this page to the home screen first (Share, then “Add to Home " +
      "Screen”) and download the model there. The app on the home screen has storage of its " +
      "own, and Safari clears websites that were not visited for a week.",
    choose: "Choose a model",
  },

  offers: {
    about: {
      "phi-4-mini": {
        title: "Phi-4-mini",
        text:
          "Writes, translates, summarises and programs well. Wants a recent computer, or a " +
          "phone with 8 GB of memory.",
      },
      "smollm2-135m": {
        title: "SmolLM2, for a quick try",
        text: "Tiny and fast on any device. It shows how this works, and is often wrong.",
      },
      "phi-4-mini-original": {
        title: "Phi-4-mini, from the original weights",
        text:
          "Microsoft’s own files. They become 4.5 bits a weight while they arrive, so for " +
          "three times the download the answers are no better: for those who want nobody’s " +
          "files but the maker’s.",
      },
    },
    facts: (maker: string, parameters: string, license: string) =>
      `${maker} · ${parameters} billion parameters · ${license} licence`,
    recommended: "Recommended",
    download: (size: string) => `Download ${size}`,
    goOn: "Go on downloading",
    load: "Load",
    own:
      "Or use a model that you have: a GGUF file, a folder of safetensors, or what you have " +
      "exported here.",
    openFile: "Open a file",
    openFolder: "Open a folder",
  },

  download: {
    title: (name: string, size: string) => `Download ${name}, ${size}?`,
    once: "This happens once. Afterwards the model starts from this device’s own storage.",
    mobileData: "Are you on Wi-Fi? Over mobile data this can cost money.",
    pausable: "You can pause at any time; what has arrived stays.",
    installFirst:
      "On an iPhone or iPad, add this page to the home screen first, and download there.",
    notNow: "Not now",
    start: "Download",
  },

  loading: {
    downloading: (name: string) => `Downloading ${name}`,
    preparing: (name: string) => `Preparing ${name}`,
    loading: (name: string) => `Loading ${name}`,
    checking: (name: string) => `Checking ${name}`,
    paused: (name: string) => `${name} is paused`,
    short: (name: string) => `Loading ${name} …`,
    beginning: "Beginning …",
    amount: (done: string, total: string) => `${done} of ${total}`,
    left: (time: string) => `about ${time} left`,
    keptWhatCame: "What has arrived is kept.",
    pause: "Pause",
    resume: "Resume",
  },

  modelBar: {
    label: "Model",
    stored: (name: string, size: string) => `${name} is on this device (${size}).`,
    none: "There is no model on this device yet.",
    noneShort: "No model loaded",
    load: "Load",
    choose: "Choose a model",
  },

  drawer: {
    label: "Conversations and screens",
    open: "Open the list of conversations",
    newChat: "New conversation",
    search: "Search conversations",
    conversations: "Conversations",
    thisWeek: "This week",
    empty: "Your conversations will be here.",
    nothingFound: "No conversation has these words.",
    menu: (title: string) => `What to do with “${title}”`,
    rename: "Rename",
    newTitle: "New title",
    exportMarkdown: "Export as Markdown",
    exportJson: "Export as JSON",
    delete: "Delete",
    deleted: (count: number) =>
      count === 1 ? "Conversation deleted" : `${some(count, "conversation")} deleted`,
    undo: "Undo",
  },

  chat: {
    transcript: "The conversation",
    greeting: "What can I help you with?",
    greetingUnready: "Load a model, and ask it anything",
    you: "You",
    model: "The model",
    thinking: "Thinking …",
    reading: (done: string, total: string) => `Reading: ${done} of ${total} tokens`,
    copy: "Copy",
    copied: "Copied",
    notCopied: "The browser did not allow copying",
    code: "code",
    edit: "Edit",
    send: "Send",
    again: "Answer again",
    goOn: "Continue",
    versions: "Versions",
    earlierVersion: "Earlier version",
    laterVersion: "Later version",
    earlier: (count: number) => `Show ${count} earlier messages`,
    toEnd: "Jump to the latest",
    figures: (model: string, tokens: string, speed: string, backend: string) =>
      `${model} · ${tokens} tokens · ${speed} tokens/s · ${backend}`,
    leftOut: (count: number) =>
      `The model’s memory is full: the ${count} oldest messages were left out.`,
    states: {
      stopped: "Stopped.",
      interrupted: "The app was closed while this was written.",
      cut: "The longest answer was reached.",
      failed: "This answer failed.",
    },
    mayErr: "Models err. Check what matters.",
    elsewhere: "The model is answering in another conversation.",
    unknown:
      "There is no conversation at this address: it was deleted, or is kept in another " +
      "browser. This is a new one.",
  },

  composer: {
    label: "Your message",
    placeholder: "Ask something",
    attach: "Attach a text file",
    options: "Instructions and manner",
    send: "Send",
    stop: "Stop",
    pasted: "Pasted text",
    detach: (name: string) => `Remove ${name}`,
    characters: (count: string) => `${count} characters`,
    tokens: (count: string) => `${count} tokens`,
    tooLong: (used: string, room: string) =>
      `The documents have ${used} tokens, and the model can read ${room} at once.`,
    shorten: "Use the beginning",
    notText: (name: string) => `${name} is not a text file, or is larger than 4 MB.`,
  },

  presets: { precise: "Precise", balanced: "Balanced", creative: "Creative", own: "Own numbers" },

  options: {
    title: "This conversation",
    manner: "Manner",
    about: {
      precise: "Always the likeliest word: facts, code, translations",
      balanced: "For most things",
      creative: "For ideas and stories",
    },
    instructions: "Instructions",
    instructionsHint: "For example: Answer briefly. I am a beginner in Python.",
    more: "More",
    sliders: {
      temperature: "Temperature",
      topP: "Top p",
      minP: "Min p",
      repetitionPenalty: "Repetition penalty",
      longest: "Longest answer, in tokens",
    },
  },

  starters: {
    email: {
      title: "Draft an e-mail",
      prompt: "Write a friendly e-mail to … about …. Keep it short.",
    },
    translate: { title: "Translate", prompt: "Translate into German:\n\n" },
    notes: { title: "Tidy notes", prompt: "Turn these notes into a clear list:\n\n" },
    code: { title: "Write code", prompt: "Write a Python function that " },
    summarise: {
      title: "Summarise a text",
      prompt: "Summarise the attached text in five sentences.",
    },
  },

  models: {
    title: "Models and storage",
    loaded: "In memory",
    noneLoaded: "No model is loaded.",
    computes: (backend: string) => `Computed by ${backend}`,
    measured: (gpu: string, cpu: string) =>
      `Reading 500 tokens and writing 200, as measured here: GPU ${gpu} s, CPU ${cpu} s`,
    context: (tokens: string, millions: string) =>
      `Remembers ${tokens} tokens of a conversation · ${millions} million weights`,
    unload: "Unload",
    kept: "On this device",
    nothingKept: "No model is kept on this device.",
    partly: (done: string, total: string) => `${done} of ${total} have arrived`,
    used: (time: string) => `used ${time}`,
    inUse: "In use",
    load: "Load",
    goOn: "Go on",
    menu: (name: string) => `What to do with ${name}`,
    check: "Check the files",
    checking: "Checking",
    sound: (name: string) => `${name} is sound.`,
    repaired: (bad: number, repaired: number) =>
      `${bad} parts were damaged, ${repaired} were fetched again.`,
    export: "Export",
    delete: "Delete",
    deleted: (name: string) => `${name} is deleted.`,
    deleteTitle: (name: string) => `Delete ${name}?`,
    deleteText: (size: string) =>
      `This frees ${size}. To use the model again, it must be downloaded again.`,
    usage: (size: string) => `This app uses ${size} on this device.`,
    persisted: "The browser has promised not to clear it on its own.",
    notPersisted: "The browser may clear it when the disk is full.",
    persist: "Ask the browser to keep it",
    persistGranted: "The browser will keep it.",
    persistRefused:
      "The browser does not promise it yet. It often does once an app is installed or used a lot.",
    kinds: {
      opfs: "",
      indexeddb: "Models lie in the browser’s database, because this window has no file system.",
      memory:
        "This window keeps nothing: a model is gone when it closes. A private window, perhaps?",
    },
    more: "More models",
  },

  settings: {
    title: "Settings",
    appearance: "Appearance",
    language: "Language",
    theme: "Colours",
    themes: { system: "As the device", light: "Light", dark: "Dark" },
    answers: "Answers",
    instructions: "Instructions for new conversations",
    instructionsHint: "The model reads them before every conversation.",
    model: "Model",
    loadAtStart: "Load the last model when the app opens",
    loadAtStartHint: "Only from this device. Nothing is downloaded by itself.",
    compute: "Computed on",
    computes: {
      auto: "The graphics card or the processor, whichever is faster",
      gpu: "The graphics card only",
      cpu: "The processor only",
    },
    context: "Memory for a conversation",
    contextAuto: "As the model has it, up to 4,096 tokens",
    tokens: (count: string) => `${count} tokens`,
    contextHint:
      "More lets the model read longer texts and takes more memory. It holds from the next " +
      "load on.",
    careful: "Careful loading",
    carefulHint: (tokens: string) =>
      `There was no memory for more, so a conversation gets ${tokens} tokens. Untick to try ` +
      "again with all of it.",
    isolate: "Several processor threads",
    isolateHint:
      "Makes the processor several times faster. The app then opens in a way that shares " +
      "memory between threads; if it does not open any more, clear this site’s data.",
    isolated: "This page can use several threads.",
    isolateNext: "This holds from the next time the app opens.",
    chats: "Conversations",
    export: "Export all",
    import: "Import",
    deleteAll: "Delete all",
    imported: (count: number) =>
      count === 1 ? "One conversation imported" : `${count} conversations imported`,
    importErrors: {
      "not-json": "This file is not JSON. Choose one that this app has exported.",
      "not-ours": "This file holds no conversations of this app. Choose one that it has exported.",
      newer: "A newer version of this app wrote this file. Update the app, then import again.",
      broken: "This file is damaged: parts of its conversations are missing.",
      refused:
        "This browser took none of it: its storage is full or failed. Free some space, then " +
        "import again.",
    },
    app: "App",
    offlineReady: "The app is on this device and opens without a network.",
    offlineNotYet: "The app opens without a network once a model has been loaded.",
    offlineNever: "The app needs the network to open: this browser keeps none of its files.",
    install: "Install the app",
  },

  privacy: {
    title: "Privacy",
    promise:
      "What you type and what the model answers stay on this device. The model computes here; " +
      "nobody else sees any of it. There are no statistics, no cookies and no accounts.",
    kept: "What is kept here",
    conversations: (conversations: number, messages: number) =>
      `${some(conversations, "conversation")} with ${some(messages, "message")}`,
    drafts: (count: number) => some(count, "draft"),
    models: (count: number, size: string) =>
      count === 0 ? "no models" : `${some(count, "model")}, ${size}`,
    settings: "Your settings",
    appFiles: "The app’s own files, so that it opens without a network",
    where:
      "All of it lies in this browser’s storage, on this device, and only this site can read it.",
    requests: "Whom this app has talked to",
    nobody: "Nobody but the site that it came from.",
    requestsTo: (count: number, time: string) => `${some(count, "request")}, the last on ${time}`,
    requestsHint:
      "Models come from their hub. Once a model is here, there is nothing left to ask anyone.",
    wipeTitle: "Delete everything",
    wipeText: "Conversations, models, settings and the app’s files are removed from this device.",
    wipeSure: "Conversations cannot be brought back. Export them first if you want to keep them.",
    wipe: "Delete everything",
  },

  shortcuts: {
    title: "Keyboard",
    control: "Ctrl",
    enter: "Enter",
    search: "Search conversations",
    newChat: "New conversation",
    write: "To the message field",
    stop: "Stop the answer",
    line: "New line; Enter alone sends",
    help: "This list",
  },

  status: {
    loading: (name: string) => `Loading ${name}.`,
    loaded: (name: string) => `${name} is loaded.`,
    paused: "Loading is paused.",
    answering: "The model is answering.",
    answered: "The answer is complete.",
    stopped: "The answer is stopped.",
    killed: "Loading the model ended the app last time. It will take less memory now.",
    newer: "A newer version of the app is here.",
  },

  actions: {
    retry: "Try again",
    cpu: "Use the processor",
    storage: "Free some space",
    choose: "Choose another model",
    file: "Choose another file",
    folder: "Choose another folder",
    "new-chat": "New conversation",
    reload: "Reload the app",
    again: "Load again",
  },

  loadWith: (tokens: string) => `Load with ${tokens} tokens`,

  /** By code. The engine's own sentence says the rest, in English. */
  problems: {
    offline: { title: "This device is offline" },
    network: { title: "The connection broke off" },
    "not-found": { title: "The model is not there" },
    "no-gpu": { title: "This browser has no usable graphics card" },
    "gpu-failed": { title: "The graphics card failed" },
    "gpu-lost": { title: "The graphics card was lost" },
    "out-of-memory": { title: "There is not enough memory" },
    "storage-full": { title: "There is not enough space on this device" },
    "storage-lost": { title: "The browser has cleared the model" },
    "in-use": { title: "Another tab is using this model" },
    io: { title: "A file cannot be read or written" },
    corrupt: { title: "Parts of the model are damaged" },
    truncated: { title: "The model is incomplete" },
    "prompt-too-long": { title: "This is longer than the model can read" },
    "context-full": { title: "The conversation is full" },
    "not-a-model": { title: "This is not a model" },
    malformed: { title: "This model’s files are damaged" },
    "missing-tensor": { title: "This model’s files are incomplete" },
    "wrong-shape": { title: "This model’s files contradict themselves" },
    "bad-config": { title: "This model’s settings contradict themselves" },
    "bad-tokenizer": { title: "This model’s vocabulary cannot be read" },
    "bad-template": { title: "This model’s chat template does not work" },
    "unsupported-architecture": { title: "This kind of model is not known here" },
    "unsupported-tensor": { title: "This kind of model is not known here" },
    "bad-token": { title: "The model was asked for a token that it does not have" },
    "bad-option": { title: "The model was asked for something that it cannot do" },
    "bad-constraint": { title: "The model was asked for a form that it cannot be held to" },
    cancelled: { title: "This was cancelled" },
    "no-browser": { title: "This browser cannot run models" },
    "no-worker": { title: "This browser did not start the engine" },
    "max-rounds": { title: "The model came to no answer" },
    "not-written": { title: "What is new is not being kept: it is gone when this page is closed." },
    internal: { title: "Something went wrong" },
  } satisfies Record<ProblemName, Said> as Record<ProblemName, Said>,

  /** What the engine says of itself is English already. */
  notices: [] as [RegExp, (...found: string[]) => string][],
  backend: (name: string) => name,
  engineSays: "In the engine’s words",
};
