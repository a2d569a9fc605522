// Notes which other computers the page and its workers have asked for something; the service worker
// sees every request and says so.

import { noteContact } from "../data/database.js";
import { CONTACTS } from "./service.js";
import { channel } from "./tabs.js";

export function watchContacts(): void {
  channel(CONTACTS, (host) => void noteContact(host));
}
