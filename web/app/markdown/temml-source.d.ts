/** The library's source, which its own bundle is made of. */
declare module "temml/temml.js" {
  export { default } from "temml";
}
