// The models on offer and those that this browser has.

import { Phi, type StoredModel } from "../../src/index.js";
import list from "../models.json";
import type { Choice } from "./engine.svelte.js";

/** One line of models.json: everything that the app knows of a model before it is there. */
export interface Offer {
  id: string;
  name: string;
  maker: string;
  source: string;
  /** Where the same lies on its hub, of a source beside the app. */
  hub?: string;
  /** To download, about. */
  bytes: number;
  /** In milliards, as people name models by. */
  parameters: string;
  license: string;
  recommended?: boolean;
}

/** A released app has no models beside it. */
const withoutModels = import.meta.env.MODE === "release";
export const OFFERS: Offer[] = list.map((offer) =>
  withoutModels ? { ...offer, source: offer.hub ?? offer.source } : offer,
);

/** The address in full; some models lie beside the app. */
export function addressOf({ source }: Offer): string {
  return new URL(source, document.baseURI).href;
}

/**
 * A hub's address without branch or commit; a repository is the same as the folder of its files.
 */
function withoutRevision(address: string): string {
  return address.replace(/\/(resolve|tree|blob)\/[^/]+/, "").replace(/\/$/, "");
}

/**
 * Whether a model can be loaded without asking the user for its files again: it is whole, or named
 * by an address.
 */
export function isAtHand({ source, complete }: StoredModel): boolean {
  return complete || /^https?:/.test(source);
}

class Models {
  stored: StoredModel[] = $state.raw([]);
  known = $state(false);
  readonly storedBytes = $derived(
    this.stored.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  );

  async refresh(): Promise<void> {
    this.stored = await Phi.listModels();
    this.known = true;
  }

  /**
   * What is stored of an address. The hub's files are kept under the commit that they were fetched
   * from.
   */
  find(address: string): StoredModel | undefined {
    return this.stored.find(({ source }) => withoutRevision(source) === withoutRevision(address));
  }

  /**
   * Whole in this browser: loading them needs neither network nor user. The latest used comes
   * first.
   */
  get loadable(): StoredModel[] {
    return this.stored.filter(({ complete }) => complete);
  }

  offer(offer: Offer): Choice {
    const stored = this.find(addressOf(offer));
    return {
      source: stored ?? addressOf(offer),
      name: offer.name,
      stored: stored?.complete ?? false,
    };
  }

  /**
   * A choice that was loaded, as it comes again without a request; nothing is downloaded that
   * nobody asked for.
   */
  atHand(choice: Choice, storedId: string | undefined): Choice | undefined {
    const source = this.loadable.find(({ id }) => id === storedId);
    if (source) return { source, name: choice.name, stored: true };
    return typeof choice.source === "string" || "storedBytes" in choice.source ? undefined : choice;
  }

  fromStorage(model: StoredModel): Choice {
    const offer = OFFERS.find(
      (offer) => withoutRevision(addressOf(offer)) === withoutRevision(model.source),
    );
    return { source: model, name: offer?.name ?? model.name, stored: model.complete };
  }
}

export const models = new Models();
