import type { LookupAddress } from "node:dns";

/** A piece of the list, with the words of a test's name. */
export interface Hostile {
  readonly what: string;
  readonly value: string;
}

const list = (entries: readonly (readonly [what: string, value: string])[]): Hostile[] =>
  entries.map(([what, value]) => ({ what, value }));

/**
 * Addresses that no request from outside may go to, whether they stand in a URL or come from a name server. One list for all that
 * sends requests to URLs of others.
 */
export const privateAddresses: readonly Hostile[] = list([
  ["this machine", "127.0.0.1"],
  ["this machine by another number", "127.255.255.254"],
  ["this machine by IPv6", "::1"],
  ["no address, which means this machine", "0.0.0.0"],
  ["this network", "0.1.2.3"],
  ["no address by IPv6", "::"],
  ["a private network of class A", "10.0.0.7"],
  ["a private network of class B", "172.16.0.1"],
  ["the last of class B", "172.31.255.255"],
  ["a private network of class C", "192.168.1.1"],
  ["a provider's own network", "100.64.0.1"],
  ["Alibaba's metadata", "100.100.100.200"],
  ["a link, with a cloud's metadata", "169.254.169.254"],
  ["AWS's credentials of a task", "169.254.170.2"],
  ["Azure's platform", "168.63.129.16"],
  ["protocols, with Oracle's metadata", "192.0.0.192"],
  ["examples", "192.0.2.1"],
  ["examples, the second", "198.51.100.1"],
  ["examples, the third", "203.0.113.1"],
  ["6to4 relays", "192.88.99.1"],
  ["benchmarks", "198.18.0.1"],
  ["multicast", "224.0.0.1"],
  ["reserved", "240.0.0.1"],
  ["broadcast", "255.255.255.255"],
  ["a link by IPv6", "fe80::1"],
  ["a link by IPv6 with its zone", "fe80::1%1"],
  ["a private network by IPv6", "fd00::1"],
  ["AWS's metadata by IPv6", "fd00:ec2::254"],
  ["a private network by IPv6, the other half", "fc00::1"],
  ["a site by IPv6", "fec0::1"],
  ["multicast by IPv6", "ff02::1"],
  ["examples by IPv6", "2001:db8::1"],
  ["examples by IPv6, the new ones", "3fff::1"],
  ["IPv6 that is thrown away", "100::1"],
  ["segment routing", "5f00::1"],
  ["ORCHID", "2001:20::1"],
  ["IPv4 mapped to IPv6", "::ffff:127.0.0.1"],
  ["IPv4 mapped to IPv6, in hex", "::ffff:7f00:1"],
  ["IPv4 mapped to IPv6, of metadata", "::ffff:169.254.169.254"],
  ["IPv4 mapped to IPv6, though public", "::ffff:8.8.8.8"],
  ["IPv4 compatible with IPv6", "::127.0.0.1"],
  ["IPv4 translated", "::ffff:0:127.0.0.1"],
  ["NAT64", "64:ff9b::7f00:1"],
  ["NAT64 of metadata", "64:ff9b::169.254.169.254"],
  ["NAT64 of one's own", "64:ff9b:1::a00:7"],
  ["6to4", "2002:7f00:1::"],
  ["Teredo", "2001:0:7f00:1::"],
]);

/** What is no address at all: it is refused where an address is expected. */
export const notAddresses: readonly string[] = [
  "",
  " ",
  "localhost",
  "example.com",
  "2130706433",
  "0x7f000001",
  "0177.0.0.1",
  "127.1",
  "8.8.8.8.",
  "8.8.8.8 ",
  "8.8.8",
  "[::1]",
  "2606:4700::1111%eth0",
];

/** Addresses of the public internet. */
export const publicAddresses: readonly string[] = [
  "1.1.1.1",
  "8.8.8.8",
  "157.240.0.60",
  "172.15.255.255",
  "172.32.0.1",
  "100.63.255.255",
  "100.128.0.1",
  "169.253.1.1",
  "192.167.1.1",
  "223.255.255.255",
  "2606:4700:4700::1111",
  "2a03:2880:f2ff:c5:face:b00c:0:167",
];

/** Ways to write a host that is this machine's, or a private one's, address: URL parsers know them all. */
const addressSpellings: readonly Hostile[] = list([
  ["one number", "2130706433"],
  ["one number in hex", "0x7f000001"],
  ["one number in octal", "017700000001"],
  ["octal parts", "0177.0.0.01"],
  ["hex parts", "0x7f.0x0.0x0.0x1"],
  ["parts left out", "127.1"],
  ["nothing but a zero", "0"],
  ["a dot at the end", "127.0.0.1."],
  ["full-width digits", "１２７.０.０.１"],
  ["circled digits", "①②⑦.⓪.⓪.①"],
  ["ideographic full stops", "127。0。0。1"],
  ["percent signs", "%31%32%37.0.0.1"],
  ["a number of metadata", "2852039166"],
  ["IPv6", "[::1]"],
  ["IPv6 in full", "[0:0:0:0:0:0:0:1]"],
  ["no address by IPv6", "[::]"],
  ["IPv4 mapped to IPv6", "[::ffff:127.0.0.1]"],
  ["IPv4 mapped to IPv6, in hex", "[::FFFF:7F00:0001]"],
  ["IPv4 compatible with IPv6", "[::127.0.0.1]"],
  ["NAT64", "[64:ff9b::127.0.0.1]"],
  ["6to4", "[2002:7f00:1::]"],
]);

const address = (text: string): LookupAddress => ({ address: text, family: text.includes(":") ? 6 : 4 });

/** What a hostile name server may say of a harmless name. */
export const hostileAnswers: readonly { readonly what: string; readonly addresses: LookupAddress[] }[] = [
  ...privateAddresses.map(({ what, value }) => ({ what, addresses: [address(value)] })),
  { what: "a public one and then this machine", addresses: [address("8.8.8.8"), address("127.0.0.1")] },
  { what: "this machine and then a public one", addresses: [address("127.0.0.1"), address("8.8.8.8")] },
  { what: "a public one and a mapped one", addresses: [address("8.8.8.8"), address("::ffff:10.0.0.7")] },
  { what: "another name", addresses: [{ address: "localhost", family: 4 }] },
  { what: "nothing", addresses: [] },
];

/** URLs that are refused by their form, at a sender that would go to any public host; with `reason` of the refusal. */
export const hostileUrls: readonly (Hostile & { readonly reason: string })[] = [
  ...privateAddresses
    .filter(({ value }) => !value.includes("%"))
    .map(({ what, value }) => ({
      what,
      value: `https://${value.includes(":") ? `[${value}]` : value}/`,
      reason: "private-address",
    })),
  ...addressSpellings.map(({ what, value }) => ({
    what,
    value: `https://${value}/`,
    reason: "private-address",
  })),
  ...(
    [
      ["a user", "https://user@example.com/", "has-credentials"],
      ["a password", "https://:secret@example.com/", "has-credentials"],
      ["a host in place of a user", "https://example.com@127.0.0.1/", "has-credentials"],
      ["plain http", "http://example.com/", "not-https"],
      ["plain http to an address", "http://2130706433/", "not-https"],
      ["plain http at the port of https", "http://example.com:443/", "not-https"],
      ["another port", "https://example.com:8443/", "port-not-allowed"],
      ["a port of another service", "https://example.com:6379/", "port-not-allowed"],
      ["port 0", "https://example.com:0/", "port-not-allowed"],
      ["a file", "file:///etc/passwd", "not-a-url"],
      ["FTP", "ftp://example.com/", "not-a-url"],
      ["Gopher", "gopher://127.0.0.1:6379/_INFO", "not-a-url"],
      ["data", "data:image/png;base64,iVBORw0KGgo=", "not-a-url"],
      ["a script", "javascript:alert(1)", "not-a-url"],
      ["no host", "https:///etc/passwd", "not-a-url"],
      ["no scheme", "//example.com/", "not-a-url"],
      ["backslashes", "https:\\\\example.com\\", "not-a-url"],
      ["a line end", "https://example.com/\r\nHost: 127.0.0.1", "not-a-url"],
      ["a tab in the host", "https://127.0.\t0.1/", "not-a-url"],
      ["a zero", "https://example.com\0.example/", "not-a-url"],
      ["an address with a zone", "https://[fe80::1%251]/", "not-a-url"],
      ["an address that is none", "https://256.256.256.256/", "not-a-url"],
      ["an endless name", `https://${"a".repeat(400)}.example/`, "not-a-url"],
      ["an endless path", `https://example.com/${"a".repeat(9_000)}`, "not-a-url"],
      ["nothing", "", "not-a-url"],
    ] as const
  ).map(([what, value, reason]) => ({ what, value, reason })),
];

/** Where a redirect may try to lead: none of them is followed. `port` is of a server that must not be asked. */
export function hostileRedirects(port: number): readonly Hostile[] {
  return list([
    ["this machine", `http://127.0.0.1:${port}/`],
    ["this machine by name", `http://localhost:${port}/`],
    ["this machine as a number", `http://2130706433:${port}/`],
    ["this machine by IPv6", `http://[::ffff:127.0.0.1]:${port}/`],
    ["a cloud's metadata", "http://169.254.169.254/latest/meta-data/"],
    ["another scheme", "file:///etc/passwd"],
    ["the same host", "/elsewhere"],
  ]);
}
