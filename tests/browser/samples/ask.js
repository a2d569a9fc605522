// What every sample page does: loads the model that its address names, asks it, and leaves the
// outcome for those who drive the browser.

export async function ask(Phi) {
  const wishes = new URLSearchParams(location.search);
  const [bits, most, threads, workerUrl, modules] = [
    "bits",
    "most",
    "threads",
    "workerUrl",
    "modules",
  ].map((name) => wishes.get(name));
  const notices = [];
  try {
    const phi = await Phi.load({
      model: wishes.get("model"),
      backend: "cpu",
      storage: "none",
      onNotice: (sentence) => notices.push(sentence),
      ...(bits && { bits: Number(bits) }),
      ...(threads && { threads: Number(threads) }),
      ...(workerUrl && { workerUrl }),
      ...(modules && { wasmUrl: (variant) => `${modules}${variant}.wasm` }),
    });
    const request = {
      messages: JSON.parse(wishes.get("messages")),
      max_tokens: most && Number(most),
    };
    const { choices } = await phi.chat.completions.create(request);
    show({ answer: choices[0].message.content, backend: phi.description.backend, notices });
  } catch (error) {
    show({ error: { name: error.name, code: error.code, message: error.message }, notices });
  }
}

function show(outcome) {
  document.body.textContent = JSON.stringify(outcome);
  document.body.dataset.outcome = "there";
}
