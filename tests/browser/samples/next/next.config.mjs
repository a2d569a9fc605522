// Written out as files, for the test's server; the package needs nothing here.
export default { output: "export" };
