// German, as many lines as texts.

import type { Words } from "./words.svelte.js";

function some(count: number, none: string, one: string, many: string): string {
  return count === 0 ? none : count === 1 ? one : `${count} ${many}`;
}

export const de: Words = {
  close: "Schließen",
  cancel: "Abbrechen",
  skip: "Zum Gespräch springen",
  nothingKept:
    "Dieser Browser behält nichts für diese Seite: Gespräche und Modelle sind weg, wenn sie " +
    "geschlossen wird. Sie bleiben, wenn Sie dieser Seite erlauben, Daten zu speichern.",

  screens: {
    welcome: "Willkommen",
    chat: "Gespräch",
    models: "Modelle und Speicher",
    settings: "Einstellungen",
    privacy: "Datenschutz",
  },

  welcome: {
    title: "Ein Sprachmodell, das Ihnen gehört",
    text:
      "Phi läuft vollständig auf diesem Gerät. Es braucht das Internet einmal, um ein Modell " +
      "zu holen, und danach nie wieder.",
    private:
      "Nichts, was Sie schreiben, verlässt dieses Gerät. Es gibt kein Konto und keinen Server, " +
      "der mitliest.",
    offline: "Es geht ohne Netz. Probieren Sie es im Flugmodus.",
    once: "Ein Modell wird einmal geladen und bleibt hier. Sie können es jederzeit löschen.",
    installFirst:
      "Legen Sie diese Seite auf dem iPhone oder iPad zuerst auf den Home-Bildschirm (Teilen, " +
      "dann „Zum Home-Bildschirm“) und laden Sie das Modell dort. Die App auf dem " +
      "Home-Bildschirm hat ihren eigenen Speicher, und Safari leert Seiten, die eine Woche " +
      "lang nicht besucht wurden.",
    choose: "Wählen Sie ein Modell",
  },

  offers: {
    about: {
      "phi-4-mini": {
        title: "Phi-4-mini",
        text:
          "Schreibt, übersetzt, fasst zusammen und programmiert gut. Braucht einen neueren " +
          "Rechner oder ein Telefon mit 8 GB Arbeitsspeicher.",
      },
      "smollm2-135m": {
        title: "SmolLM2, zum schnellen Ausprobieren",
        text: "Winzig und schnell auf jedem Gerät. Es zeigt, wie das hier geht, und irrt sich oft.",
      },
      "phi-4-mini-original": {
        title: "Phi-4-mini, aus den ursprünglichen Gewichten",
        text:
          "Microsofts eigene Dateien. Beim Ankommen werden sie zu 4,5 Bit je Gewicht, die " +
          "Antworten sind also für die dreifache Menge nicht besser: für alle, die nur Dateien " +
          "des Herstellers wollen.",
      },
    },
    facts: (maker, parameters, license) =>
      `${maker} · ${parameters.replace(".", ",")} Milliarden Parameter · Lizenz ${license}`,
    recommended: "Empfohlen",
    download: (size) => `${size} laden`,
    goOn: "Weiterladen",
    load: "Starten",
    own:
      "Oder nehmen Sie ein Modell, das Sie schon haben: eine GGUF-Datei, einen Ordner mit " +
      "safetensors oder was Sie hier gesichert haben.",
    openFile: "Datei öffnen",
    openFolder: "Ordner öffnen",
  },

  download: {
    title: (name, size) => `${name} laden, ${size}?`,
    once: "Das geschieht einmal. Danach startet das Modell aus dem Speicher dieses Geräts.",
    mobileData: "Sind Sie im WLAN? Über mobile Daten kann das Geld kosten.",
    pausable: "Sie können jederzeit anhalten; was da ist, bleibt da.",
    installFirst:
      "Legen Sie diese Seite auf dem iPhone oder iPad zuerst auf den Home-Bildschirm, und " +
      "laden Sie dort.",
    notNow: "Nicht jetzt",
    start: "Laden",
  },

  loading: {
    downloading: (name) => `${name} wird geladen`,
    preparing: (name) => `${name} wird vorbereitet`,
    loading: (name) => `${name} startet`,
    checking: (name) => `${name} wird geprüft`,
    paused: (name) => `${name} ist angehalten`,
    short: (name) => `${name} wird geladen …`,
    beginning: "Es geht los …",
    amount: (done, total) => `${done} von ${total}`,
    left: (time) => `noch etwa ${time}`,
    keptWhatCame: "Was da ist, bleibt da.",
    pause: "Anhalten",
    resume: "Weiter",
  },

  modelBar: {
    label: "Modell",
    stored: (name, size) => `${name} ist auf diesem Gerät (${size}).`,
    none: "Auf diesem Gerät ist noch kein Modell.",
    noneShort: "Kein Modell gestartet",
    load: "Starten",
    choose: "Modell wählen",
  },

  drawer: {
    label: "Gespräche und Seiten",
    open: "Liste der Gespräche öffnen",
    newChat: "Neues Gespräch",
    search: "Gespräche durchsuchen",
    conversations: "Gespräche",
    thisWeek: "Diese Woche",
    empty: "Hier werden Ihre Gespräche stehen.",
    nothingFound: "In keinem Gespräch kommt das vor.",
    menu: (title) => `Was mit „${title}“ geschehen soll`,
    rename: "Umbenennen",
    newTitle: "Neuer Titel",
    exportMarkdown: "Als Markdown sichern",
    exportJson: "Als JSON sichern",
    delete: "Löschen",
    deleted: (count) => (count === 1 ? "Gespräch gelöscht" : `${count} Gespräche gelöscht`),
    undo: "Zurückholen",
  },

  chat: {
    transcript: "Das Gespräch",
    greeting: "Wobei kann ich helfen?",
    greetingUnready: "Starten Sie ein Modell, und fragen Sie los",
    you: "Sie",
    model: "Das Modell",
    thinking: "Denkt nach …",
    reading: (done, total) => `Liest: ${done} von ${total} Tokens`,
    copy: "Kopieren",
    copied: "Kopiert",
    notCopied: "Der Browser hat das Kopieren nicht erlaubt",
    code: "Code",
    edit: "Ändern",
    send: "Senden",
    again: "Neu antworten",
    goOn: "Fortsetzen",
    versions: "Fassungen",
    earlierVersion: "Frühere Fassung",
    laterVersion: "Spätere Fassung",
    earlier: (count) => `${count} frühere Nachrichten zeigen`,
    toEnd: "Zum Neuesten springen",
    figures: (model, tokens, speed, backend) =>
      `${model} · ${tokens} Tokens · ${speed} Tokens/s · ${backend}`,
    leftOut: (count) =>
      `Das Gedächtnis des Modells ist voll: Die ${count} ältesten Nachrichten blieben weg.`,
    states: {
      stopped: "Angehalten.",
      interrupted: "Die App wurde geschlossen, während das geschrieben wurde.",
      cut: "Die größte Länge einer Antwort ist erreicht.",
      failed: "Diese Antwort ist misslungen.",
    },
    mayErr: "Modelle irren sich. Prüfen Sie, was wichtig ist.",
    elsewhere: "Das Modell antwortet in einem anderen Gespräch.",
    unknown:
      "Unter dieser Adresse ist kein Gespräch: Es wurde gelöscht, oder es liegt in einem " +
      "anderen Browser. Dies ist ein neues.",
  },

  composer: {
    label: "Ihre Nachricht",
    placeholder: "Fragen Sie etwas",
    attach: "Textdatei anhängen",
    options: "Anweisungen und Art",
    send: "Senden",
    stop: "Anhalten",
    pasted: "Eingefügter Text",
    detach: (name) => `${name} entfernen`,
    characters: (count) => `${count} Zeichen`,
    tokens: (count) => `${count} Tokens`,
    tooLong: (used, room) =>
      `Die Dokumente haben ${used} Tokens, und das Modell kann ${room} auf einmal lesen.`,
    shorten: "Nur den Anfang nehmen",
    notText: (name) => `${name} ist keine Textdatei oder größer als 4 MB.`,
  },

  presets: {
    precise: "Genau",
    balanced: "Ausgewogen",
    creative: "Einfallsreich",
    own: "Eigene Werte",
  },

  options: {
    title: "Dieses Gespräch",
    manner: "Art der Antworten",
    about: {
      precise: "Immer das wahrscheinlichste Wort: Fakten, Code, Übersetzungen",
      balanced: "Für das meiste",
      creative: "Für Ideen und Geschichten",
    },
    instructions: "Anweisungen",
    instructionsHint: "Zum Beispiel: Antworte kurz. Ich lerne gerade Python.",
    more: "Mehr",
    sliders: {
      temperature: "Temperatur",
      topP: "Top p",
      minP: "Min p",
      repetitionPenalty: "Strafe für Wiederholungen",
      longest: "Längste Antwort, in Tokens",
    },
  },

  starters: {
    email: {
      title: "E-Mail entwerfen",
      prompt: "Schreibe eine freundliche E-Mail an … wegen …. Fasse dich kurz.",
    },
    translate: { title: "Übersetzen", prompt: "Übersetze ins Englische:\n\n" },
    notes: { title: "Notizen ordnen", prompt: "Mache aus diesen Notizen eine klare Liste:\n\n" },
    code: { title: "Code schreiben", prompt: "Schreibe eine Python-Funktion, die " },
    summarise: {
      title: "Text zusammenfassen",
      prompt: "Fasse den angehängten Text in fünf Sätzen zusammen.",
    },
  },

  models: {
    title: "Modelle und Speicher",
    loaded: "Im Arbeitsspeicher",
    noneLoaded: "Kein Modell ist gestartet.",
    computes: (backend) => `Es rechnet: ${backend}`,
    measured: (gpu, cpu) =>
      `500 Tokens lesen und 200 schreiben, hier gemessen: Grafikkarte ${gpu} s, Prozessor ${cpu} s`,
    context: (tokens, millions) =>
      `Merkt sich ${tokens} Tokens eines Gesprächs · ${millions} Millionen Gewichte`,
    unload: "Beenden",
    kept: "Auf diesem Gerät",
    nothingKept: "Auf diesem Gerät liegt kein Modell.",
    partly: (done, total) => `${done} von ${total} sind da`,
    used: (time) => `benutzt ${time}`,
    inUse: "In Gebrauch",
    load: "Starten",
    goOn: "Weiter",
    menu: (name) => `Was mit ${name} geschehen soll`,
    check: "Dateien prüfen",
    checking: "Wird geprüft",
    sound: (name) => `${name} ist in Ordnung.`,
    repaired: (bad, repaired) => `${bad} Teile waren beschädigt, ${repaired} wurden neu geholt.`,
    export: "Sichern",
    delete: "Löschen",
    deleted: (name) => `${name} ist gelöscht.`,
    deleteTitle: (name) => `${name} löschen?`,
    deleteText: (size) =>
      `Das macht ${size} frei. Um das Modell wieder zu benutzen, muss es neu geladen werden.`,
    usage: (size) => `Diese App belegt ${size} auf diesem Gerät.`,
    persisted: "Der Browser hat versprochen, das nicht von sich aus zu löschen.",
    notPersisted: "Der Browser darf das löschen, wenn der Platz knapp wird.",
    persist: "Den Browser bitten, es zu behalten",
    persistGranted: "Der Browser behält es.",
    persistRefused:
      "Der Browser verspricht es noch nicht. Meist tut er es, wenn eine App installiert ist " +
      "oder oft benutzt wird.",
    kinds: {
      opfs: "",
      indexeddb:
        "Modelle liegen in der Datenbank des Browsers, weil dieses Fenster kein Dateisystem hat.",
      memory:
        "Dieses Fenster behält nichts: Ein Modell ist weg, wenn es geschlossen wird. " +
        "Vielleicht ein privates Fenster?",
    },
    more: "Weitere Modelle",
  },

  settings: {
    title: "Einstellungen",
    appearance: "Aussehen",
    language: "Sprache",
    theme: "Farben",
    themes: { system: "Wie das Gerät", light: "Hell", dark: "Dunkel" },
    answers: "Antworten",
    instructions: "Anweisungen für neue Gespräche",
    instructionsHint: "Das Modell liest sie vor jedem Gespräch.",
    model: "Modell",
    loadAtStart: "Beim Öffnen das letzte Modell starten",
    loadAtStartHint: "Nur von diesem Gerät. Nichts wird von selbst geladen.",
    compute: "Es rechnet",
    computes: {
      auto: "Grafikkarte oder Prozessor, was schneller ist",
      gpu: "Nur die Grafikkarte",
      cpu: "Nur der Prozessor",
    },
    context: "Gedächtnis für ein Gespräch",
    contextAuto: "Wie das Modell es hat, bis 4.096 Tokens",
    tokens: (count) => `${count} Tokens`,
    contextHint:
      "Mit mehr liest das Modell längere Texte und braucht mehr Arbeitsspeicher. Es gilt vom " +
      "nächsten Start des Modells an.",
    careful: "Vorsichtig starten",
    carefulHint: (tokens) =>
      `Für mehr reichte der Arbeitsspeicher nicht, darum bekommt ein Gespräch ${tokens} ` +
      "Tokens. Ohne Haken wird es wieder mit allem versucht.",
    isolate: "Mehrere Threads des Prozessors",
    isolateHint:
      "Macht den Prozessor mehrfach so schnell. Die App öffnet sich dann so, dass Threads sich " +
      "Speicher teilen; öffnet sie sich nicht mehr, löschen Sie die Daten dieser Website.",
    isolated: "Diese Seite kann mehrere Threads benutzen.",
    isolateNext: "Das gilt vom nächsten Öffnen der App an.",
    chats: "Gespräche",
    export: "Alle sichern",
    import: "Einlesen",
    deleteAll: "Alle löschen",
    imported: (count) =>
      count === 1 ? "Ein Gespräch eingelesen" : `${count} Gespräche eingelesen`,
    importErrors: {
      "not-json": "Diese Datei ist kein JSON. Wählen Sie eine, die diese App gesichert hat.",
      "not-ours":
        "Diese Datei enthält keine Gespräche dieser App. Wählen Sie eine, die sie gesichert hat.",
      newer:
        "Eine neuere Fassung der App hat diese Datei geschrieben. Bringen Sie die App auf den " +
        "neuesten Stand, und lesen Sie sie dann ein.",
      broken: "Diese Datei ist beschädigt: Teile ihrer Gespräche fehlen.",
      refused:
        "Der Browser hat nichts davon angenommen: Sein Speicher ist voll oder versagt. " +
        "Schaffen Sie Platz, und lesen Sie die Datei noch einmal ein.",
    },
    app: "App",
    offlineReady: "Die App ist auf diesem Gerät und öffnet sich ohne Netz.",
    offlineNotYet: "Die App öffnet sich ohne Netz, sobald ein Modell gestartet war.",
    offlineNever:
      "Die App braucht das Netz, um sich zu öffnen: Dieser Browser behält ihre Dateien nicht.",
    install: "App installieren",
  },

  privacy: {
    title: "Datenschutz",
    promise:
      "Was Sie schreiben und was das Modell antwortet, bleibt auf diesem Gerät. Das Modell " +
      "rechnet hier; niemand sonst sieht etwas davon. Es gibt keine Statistik, keine Cookies " +
      "und keine Konten.",
    kept: "Was hier liegt",
    conversations: (conversations, messages) =>
      `${some(conversations, "kein Gespräch", "ein Gespräch", "Gespräche")} mit ` +
      `${some(messages, "keinen Nachrichten", "einer Nachricht", "Nachrichten")}`,
    drafts: (count) => some(count, "kein Entwurf", "ein Entwurf", "Entwürfe"),
    models: (count, size) =>
      count === 0 ? "kein Modell" : `${some(count, "", "ein Modell", "Modelle")}, ${size}`,
    settings: "Ihre Einstellungen",
    appFiles: "Die Dateien der App selbst, damit sie sich ohne Netz öffnet",
    where:
      "Alles liegt im Speicher dieses Browsers, auf diesem Gerät, und nur diese Website kann " +
      "es lesen.",
    requests: "Mit wem diese App gesprochen hat",
    nobody: "Mit niemandem außer der Website, von der sie kommt.",
    requestsTo: (count, time) =>
      `${some(count, "keine Anfrage", "eine Anfrage", "Anfragen")}, die letzte am ${time}`,
    requestsHint:
      "Modelle kommen von ihrem Hub. Ist ein Modell erst hier, gibt es nichts mehr zu fragen.",
    wipeTitle: "Alles löschen",
    wipeText:
      "Gespräche, Modelle, Einstellungen und die Dateien der App werden von diesem Gerät entfernt.",
    wipeSure:
      "Gespräche lassen sich nicht zurückholen. Sichern Sie sie vorher, wenn Sie sie behalten " +
      "wollen.",
    wipe: "Alles löschen",
  },

  shortcuts: {
    title: "Tastatur",
    control: "Strg",
    enter: "Eingabe",
    search: "Gespräche durchsuchen",
    newChat: "Neues Gespräch",
    write: "Zum Nachrichtenfeld",
    stop: "Antwort anhalten",
    line: "Neue Zeile; die Eingabetaste allein sendet",
    help: "Diese Liste",
  },

  status: {
    loading: (name) => `${name} wird geladen.`,
    loaded: (name) => `${name} ist gestartet.`,
    paused: "Das Laden ist angehalten.",
    answering: "Das Modell antwortet.",
    answered: "Die Antwort ist fertig.",
    stopped: "Die Antwort ist angehalten.",
    killed:
      "Beim letzten Mal hat der Start des Modells die App beendet. Es nimmt jetzt weniger " +
      "Speicher.",
    newer: "Eine neuere Fassung der App ist da.",
  },

  actions: {
    retry: "Noch einmal versuchen",
    cpu: "Den Prozessor nehmen",
    storage: "Platz schaffen",
    choose: "Anderes Modell wählen",
    file: "Andere Datei wählen",
    folder: "Anderen Ordner wählen",
    "new-chat": "Neues Gespräch",
    reload: "App neu laden",
    again: "Modell neu laden",
  },

  loadWith: (tokens) => `Mit ${tokens} Tokens starten`,

  problems: {
    offline: {
      title: "Dieses Gerät ist offline",
      text:
        "Ein Modell zu laden braucht das Netz. Verbinden Sie das Gerät, und versuchen Sie es " +
        "noch einmal; was da ist, bleibt da.",
    },
    network: {
      title: "Die Verbindung ist abgerissen",
      text:
        "Der Server antwortet nicht oder hat abgebrochen. Versuchen Sie es noch einmal: Es " +
        "geht dort weiter, wo es aufgehört hat.",
    },
    "not-found": {
      title: "Das Modell ist nicht da",
      text:
        "Unter dieser Adresse liegt nichts, oder nicht für alle. Prüfen Sie die Adresse, oder " +
        "wählen Sie ein anderes Modell.",
    },
    "no-gpu": {
      title: "Dieser Browser hat keine brauchbare Grafikkarte",
      text: "Nehmen Sie den Prozessor: Er rechnet dasselbe, meist langsamer.",
    },
    "gpu-failed": {
      title: "Die Grafikkarte hat versagt",
      text: "Sie rechnet falsch oder gar nicht. Nehmen Sie den Prozessor.",
    },
    "gpu-lost": {
      title: "Die Grafikkarte ging verloren",
      text: "Der Browser oder ihr Treiber hat sie neu gestartet. Versuchen Sie es noch einmal.",
    },
    "out-of-memory": {
      title: "Der Arbeitsspeicher reicht nicht",
      text:
        "Das Modell mit seinem Gedächtnis ist zu groß für dieses Gerät. Nehmen Sie weniger " +
        "Gedächtnis oder ein kleineres Modell.",
    },
    "storage-full": {
      title: "Auf diesem Gerät ist zu wenig Platz",
      text:
        "Der Browser nimmt nicht mehr an. Löschen Sie ein Modell oder anderes auf dem Gerät, " +
        "und laden Sie dann weiter.",
    },
    "storage-lost": {
      title: "Der Browser hat das Modell gelöscht",
      text:
        "Sein Speicher wurde geleert, während das Modell benutzt wurde. Laden Sie es noch " +
        "einmal.",
    },
    "in-use": {
      title: "Ein anderer Tab benutzt dieses Modell",
      text: "Schließen Sie ihn oder beenden Sie das Modell dort, und versuchen Sie es noch einmal.",
    },
    io: {
      title: "Eine Datei lässt sich nicht lesen oder schreiben",
      text:
        "Der Browser oder das Gerät verweigert es. Versuchen Sie es noch einmal; wählen Sie " +
        "eigene Dateien neu aus.",
    },
    corrupt: {
      title: "Teile des Modells sind beschädigt",
      text:
        "Die Daten sind nicht die, die veröffentlicht wurden. Laden Sie noch einmal: Nur was " +
        "beschädigt ist, wird neu geholt.",
    },
    truncated: {
      title: "Das Modell ist unvollständig",
      text:
        "Eine Datei endet zu früh. Laden Sie noch einmal, oder wählen Sie die vollständige " +
        "Datei.",
    },
    "prompt-too-long": {
      title: "Das ist länger, als das Modell lesen kann",
      text:
        "Kürzen Sie die Frage oder ihre Dokumente, oder geben Sie dem Gespräch in den " +
        "Einstellungen mehr Gedächtnis.",
    },
    "context-full": {
      title: "Das Gespräch ist voll",
      text: "Das Gedächtnis des Modells reicht nicht weiter. Beginnen Sie ein neues Gespräch.",
    },
    "not-a-model": {
      title: "Das ist kein Modell",
      text:
        "Die Datei ist kein Modell, das hier läuft. Wählen Sie eine GGUF-Datei oder einen " +
        "Ordner mit safetensors.",
    },
    malformed: {
      title: "Die Dateien dieses Modells sind beschädigt",
      text:
        "Sie widersprechen sich. Laden Sie das Modell neu von dort, wo es herkommt, oder " +
        "wählen Sie ein anderes.",
    },
    "missing-tensor": {
      title: "Die Dateien dieses Modells sind unvollständig",
      text:
        "Gewichte fehlen, die dieses Modell braucht. Wählen Sie alle seine Dateien oder ein " +
        "anderes Modell.",
    },
    "wrong-shape": {
      title: "Die Dateien dieses Modells widersprechen sich",
      text:
        "Gewichte haben eine andere Größe, als die Konfiguration sagt. Wählen Sie ein anderes " +
        "Modell.",
    },
    "bad-config": {
      title: "Die Konfiguration dieses Modells widerspricht sich",
      text: "Ihre Zahlen passen nicht zusammen. Wählen Sie ein anderes Modell.",
    },
    "bad-tokenizer": {
      title: "Der Wortschatz dieses Modells lässt sich nicht lesen",
      text:
        "Die Datei mit den Tokens fehlt oder ist von unbekannter Art. Wählen Sie alle Dateien " +
        "des Modells oder ein anderes.",
    },
    "bad-template": {
      title: "Die Gesprächsvorlage dieses Modells geht nicht",
      text:
        "Sie ist fehlerhaft oder nimmt diese Nachrichten nicht an. Wählen Sie ein anderes " +
        "Modell.",
    },
    "unsupported-architecture": {
      title: "Diese Art von Modell ist hier unbekannt",
      text: "Hier laufen Phi und Modelle von der Art von Llama. Wählen Sie eines davon.",
    },
    "unsupported-tensor": {
      title: "Diese Art von Modell ist hier unbekannt",
      text:
        "Seine Gewichte sind in einer Form gespeichert, die hier niemand liest. Wählen Sie " +
        "dasselbe Modell in einer anderen.",
    },
    "bad-token": {
      title: "Das Modell kennt ein Token nicht",
      text: "Beginnen Sie ein neues Gespräch.",
    },
    "bad-constraint": {
      title: "An diese Form lässt sich das Modell nicht binden",
      text: "Das Schema oder die Grammatik der Antwort ist fehlerhaft oder verlangt zu viel.",
    },
    "bad-option": {
      title: "Das Modell kann nicht, was verlangt wurde",
      text:
        "Eine Einstellung oder Angabe liegt außerhalb dessen, was es nimmt. Ändern Sie sie, " +
        "und versuchen Sie es noch einmal.",
    },
    cancelled: {
      title: "Das wurde abgebrochen",
      text: "Was da ist, bleibt da. Versuchen Sie es noch einmal, wenn Sie möchten.",
    },
    "no-browser": {
      title: "Dieser Browser kann keine Modelle ausführen",
      text: "Ihm fehlt, was dafür nötig ist. Nehmen Sie einen neueren.",
    },
    "no-worker": {
      title: "Dieser Browser hat die Rechenmaschine nicht gestartet",
      text: "Ihre Dateien kamen nicht an oder wurden abgelehnt. Laden Sie die App neu.",
    },
    "max-rounds": {
      title: "Das Modell kam zu keiner Antwort",
      text: "Es rief immer wieder Werkzeuge auf. Fragen Sie noch einmal, oder anders.",
    },
    "not-written": {
      title: "Neues wird nicht mehr behalten: Es ist weg, wenn diese Seite geschlossen wird.",
      text:
        "Der Speicher dieses Browsers ist voll oder versagt. Schaffen Sie Platz; dann wird " +
        "alles nachgeholt.",
    },
    internal: {
      title: "Etwas ist schiefgegangen",
      text:
        "Das ist ein Fehler der App oder des Browsers. Laden Sie die App neu; Gespräche " +
        "bleiben.",
    },
  },

  notices: [
    [
      /^The CPU answers: /,
      () => "Der Prozessor antwortet, denn eine brauchbare Grafikkarte ist nicht da.",
    ],
    [
      /The context is (\d+) tokens: /,
      (tokens) =>
        `Das Gedächtnis fasst nur ${tokens} Tokens, denn für mehr reicht der Speicher der ` +
        "Grafikkarte nicht.",
    ],
    [
      /The model is not kept: /,
      () => "Das Modell wird nicht behalten und das nächste Mal neu geholt.",
    ],
    [
      /The CPU is faster here, and computes from the next load on/,
      () =>
        "Der Prozessor ist hier schneller und rechnet vom nächsten Laden an: Jetzt müsste das " +
        "Modell noch einmal geholt werden.",
    ],
    [
      /This browser keeps no model /,
      () => "Dieser Browser behält kein Modell: Es wird das nächste Mal neu geholt.",
    ],
    [
      /changed since a part of it was kept: (\d+) MB/,
      (megabytes) =>
        `Das Modell hat sich geändert, seit ein Teil davon hier liegt: ${megabytes} MB werden ` +
        "neu geholt.",
    ],
    [
      /^The model is loaded again, and the answer goes on: /,
      () => "Das Modell wurde neu gestartet, und die Antwort geht weiter.",
    ],
    [
      /^The module "[\w-]+" computes, for /,
      () => "Ein langsamerer Teil der App rechnet, denn der schnellere lädt nicht.",
    ],
  ],
  backend: (name) =>
    name.replace(/\b(\d+) threads?\b/, (_, count) =>
      count === "1" ? "ein Thread" : `${count} Threads`,
    ),
  engineSays: "Im Wortlaut, auf Englisch",
};
