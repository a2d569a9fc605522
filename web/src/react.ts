// `phi-wasm/react`: a model and a conversation as a component's state.

import { useCallback, useEffect, useRef, useState } from "react";
import {
  type ChatMessage,
  type ChatRequest,
  InputError,
  type LoadOptions,
  Phi,
  PhiError,
  type Progress,
  type Stats,
} from "./index.js";

export interface PhiState {
  status: "idle" | "loading" | "ready" | "failed";
  /** The model, once it is ready. */
  phi?: Phi;
  /** How far loading has come. */
  progress?: Progress;
  /** What is not as one would expect, in sentences. */
  notices: string[];
  /** Why loading failed, or the engine after that: `load` begins anew. */
  error?: PhiError;
}

export interface UsePhi extends PhiState {
  /**
   * Loads a model, instead of the one before. Resolves when that has come to an end; how, the state
   * tells.
   */
  load(options: LoadOptions): Promise<void>;
  /** Ends loading; what was stored stays, and loading again goes on from there. */
  pause(): void;
  /** Gives the model's memory back. That happens by itself when the component goes. */
  unload(): void;
}

/** A model, and what ends its loading. */
interface Current {
  abort: AbortController;
  phi?: Phi | undefined;
}

const IDLE: PhiState = { status: "idle", notices: [] };

/**
 * One model. Nothing is loaded until `load` is called: downloads are large, so people should ask
 * for them.
 */
export function usePhi(): UsePhi {
  const [state, setState] = useState<PhiState>(IDLE);
  const current = useRef<Current | null>(null);

  const end = useCallback(() => {
    current.current?.abort.abort();
    void current.current?.phi?.unload();
    current.current = null;
  }, []);
  useEffect(() => end, [end]);

  const load = useCallback(
    async (options: LoadOptions): Promise<void> => {
      end();
      const mine: Current = { abort: new AbortController() };
      current.current = mine;
      // What comes later than the next load, or the component's end, is nobody's any more.
      const change = (change: (state: PhiState) => PhiState) =>
        current.current === mine && setState(change);
      change(() => ({ status: "loading", notices: [] }));
      try {
        const phi = await Phi.load({
          ...options,
          signal: options.signal
            ? AbortSignal.any([options.signal, mine.abort.signal])
            : mine.abort.signal,
          onProgress: (progress) => {
            options.onProgress?.(progress);
            change((state) => ({ ...state, progress }));
          },
          onFailure: (error, again) => {
            options.onFailure?.(error, again);
            if (again) return;
            mine.phi = undefined;
            change(({ notices }) => ({ status: "failed", notices, error }));
          },
          onNotice: (sentence) => {
            options.onNotice?.(sentence);
            change((state) => ({ ...state, notices: [...state.notices, sentence] }));
          },
        });
        if (current.current !== mine) return phi.unload();
        mine.phi = phi;
        change(({ notices }) => ({ status: "ready", phi, notices }));
      } catch (error) {
        const isPause = error instanceof PhiError && error.code === "cancelled";
        change((state) =>
          isPause
            ? { ...state, status: "idle" }
            : { status: "failed", notices: state.notices, error: error as PhiError },
        );
      }
    },
    [end],
  );

  const pause = useCallback(() => {
    if (!current.current?.phi) current.current?.abort.abort();
  }, []);
  const unload = useCallback(() => {
    end();
    setState(IDLE);
  }, [end]);
  return { ...state, load, pause, unload };
}

export interface Turn {
  role: "user" | "assistant";
  content: string;
}

/** How to answer: a system prompt, and what `chat.completions.create` takes. */
export interface ChatWishes extends Omit<ChatRequest, "messages" | "stream" | "stream_options"> {
  system?: string;
}

export interface UseChat {
  messages: Turn[];
  /**
   * "reading" until the first piece of the answer, and again where the model has to read anew what
   * is long by now.
   */
  status: "idle" | "reading" | "answering";
  /** How much of the prompt has been read, while it is. */
  prefill?: { done: number; total: number };
  /** Figures of the latest answer. */
  stats?: Stats;
  /** Why the latest answer ended early. */
  error?: PhiError;
  /**
   * Asks; resolves when the answer has come to an end. Rejects where there is no model yet, or an
   * answer is under way.
   */
  send(text: string): Promise<void>;
  /** Answers the last question again; rejects as `send` does. */
  regenerate(): Promise<void>;
  /** Ends the answer; what was said stays said. */
  stop(): void;
  /** Another conversation, or none; an answer that is under way ends. */
  setMessages(messages: Turn[]): void;
}

/** A conversation with a model, which may come later than the component. */
export function useChat(phi: Phi | undefined, { system, ...request }: ChatWishes = {}): UseChat {
  const [messages, show] = useState<Turn[]>([]);
  const [state, setState] = useState<Pick<UseChat, "status" | "prefill" | "stats" | "error">>({
    status: "idle",
  });
  const answering = useRef<AbortController | null>(null);

  const stop = useCallback(() => answering.current?.abort(), []);
  useEffect(() => stop, [stop]);

  const answer = async (asked: Turn[]): Promise<void> => {
    if (!phi) throw new InputError("bad-option", "there is no model to ask yet: load one first");
    if (answering.current)
      throw new InputError("bad-option", "an answer is under way: wait for its end, or stop it");
    const mine = new AbortController();
    answering.current = mine;
    const isMine = () => answering.current === mine;
    show(asked);
    setState({ status: "reading" });
    let outcome: Partial<UseChat> = {};
    try {
      const all: ChatMessage[] = system ? [{ role: "system", content: system }, ...asked] : asked;
      let isReading = true;
      const onPrefill = (done: number, total: number) => {
        isReading = true;
        if (isMine()) setState({ status: "reading", prefill: { done, total } });
      };
      const pieces = await phi.chat.completions.create(
        { ...request, messages: all, stream: true },
        { signal: mine.signal, onPrefill },
      );
      let content = "";
      for await (const { choices } of pieces) {
        const piece = choices[0]?.delta.content;
        if (!piece || !isMine()) continue;
        if (isReading) setState({ status: "answering" });
        isReading = false;
        content += piece;
        show([...asked, { role: "assistant", content }]);
      }
      const stats = await phi.stats();
      if (stats) outcome = { stats };
    } catch (error) {
      outcome = { error: error as PhiError };
    }
    if (!isMine()) return;
    answering.current = null;
    setState({ status: "idle", ...outcome });
  };

  const setMessages = (messages: Turn[]) => {
    stop();
    answering.current = null;
    show(messages);
    setState({ status: "idle" });
  };
  const lastQuestion = messages.findLastIndex(({ role }) => role === "user");
  return {
    messages,
    ...state,
    send: (text) => answer([...messages, { role: "user", content: text }]),
    regenerate: async () =>
      lastQuestion < 0 ? undefined : answer(messages.slice(0, lastQuestion + 1)),
    stop,
    setMessages,
  };
}
