/** How many times the usual runs of a property a test makes: more in `npm run test:long`. */
export const effort = process.env.TETHER_TEST_LONG === undefined ? 1 : 10
