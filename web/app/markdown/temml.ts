// What sets formulas, without the chemistry that the library's own bundle carries along.

import temml from "temml/temml.js";
import "./temml.css";

export { temml };
