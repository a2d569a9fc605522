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
  /** To download, about. */
  bytes: number;
  /** In milliards, as people name models by. */
  parameters: string;
  license: string;
  recommended?: boolean;
}

export const OFFERS: Offer[] = list;

/** The address in full; some models lie beside the app. */
export function addressOf({ source }: Offer): string {
  return new URL(source, document.baseURI).href;
}

/** A hub's address without branch or commit; a repository is the same as the folder of its files. */
function withoutRevision(address: string): string {
  return address.replace(/\/(resolve|tree|blob)\/[^/]+/, "").replace(/\/$/, "");
}

/** Models that came from files are named by those, and the browser asks the user before it opens a file again. */
export function hasAddress({ source }: StoredModel): boolean {
  return /^https?:/.test(source);
}

class Models {
  stored: StoredModel[] = $state.raw([]);
  known = $state(false);

  async refresh(): Promise<void> {
    this.stored = await Phi.listModels();
    this.known = true;
  }

  /** What is stored of an address. The hub's files are kept under the commit that they were fetched from. */
  find(address: string): StoredModel | undefined {
    return this.stored.find(({ source }) => withoutRevision(source) === withoutRevision(address));
  }

  /** Whole in this browser and named by an address: loading them needs neither network nor user. The latest used comes first. */
  get loadable(): StoredModel[] {
    return this.stored.filter((model) => model.complete && hasAddress(model));
  }

  offer(offer: Offer): Choice {
    const stored = this.find(addressOf(offer));
    return { source: stored?.source ?? addressOf(offer), name: offer.name, stored: stored?.complete ?? false };
  }

  fromStorage({ source, name, complete }: StoredModel): Choice {
    const offer = OFFERS.find((offer) => withoutRevision(addressOf(offer)) === withoutRevision(source));
    return { source, name: offer?.name ?? name, stored: complete };
  }
}

export const models = new Models();
