import t from 'tap'
import { parseEnvironmentFile } from '../../../src/config/environment-file.js'

// What systemd makes of each (systemd.exec(5)); where Node's own reading differs the case says so.
const CASES: readonly [name: string, text: string, variables: Record<string, string>, ignored?: number[]][] = [
  ['plain', 'A=1\nB=two words\n', { A: '1', B: 'two words' }],
  ['no newline at the end', 'A=1', { A: '1' }],
  ['blanks around a value go, those within it stay', 'A=  x  y  \t\n', { A: 'x  y' }],
  ['empty', 'A=\nB=""\n', { A: '', B: '' }],
  ['the last one counts', 'A=1\nA=2\n', { A: '2' }],
  ['a comment begins only at the beginning of a line (Node: anywhere)', '# A=0\n  ; B=0\nC=x #y\n', { C: 'x #y' }],
  ['nothing is expanded', `A=$B \${B} $(id) \`id\`\n`, { A: `$B \${B} $(id) \`id\`` }],
  ['single quotes hold all but themselves', `A='x "y" \\n #z'\n`, { A: 'x "y" \\n #z' }],
  [
    'double quotes: four characters can be escaped, others keep the backslash',
    'A="a\\"b\\\\c\\$d\\`e\\nf"\n',
    { A: 'a"b\\c$d`e\\nf' },
  ],
  ['a quote within a plain value is a character (Node: too)', `A=x"y'z\n`, { A: `x"y'z` }],
  ['quoted parts are joined', `A='a b'"c d"e\n`, { A: 'a bc de' }],
  ['a quoted value may have several lines', 'A="x\ny"\nB=1\n', { A: 'x\ny', B: '1' }],
  [
    'a backslash joins lines, and takes the meaning of one character (Node: neither)',
    'A=x\\\n y\\ \\\\z\n',
    { A: 'x y \\z' },
  ],
  ['a blank that is escaped stays at the end', 'A=x\\ \n', { A: 'x ' }],
  ['Windows’ line ends', 'A=1\r\nB="2"\r\n', { A: '1', B: '2' }],
  ['blanks around the name', '  A =1\n', { A: '1' }],
  [
    'what is no assignment is ignored, and said (Node: takes `export`)',
    'A=1\nexport B=2\nnothing\n1C=3\n=4\n',
    { A: '1' },
    [2, 3, 4, 5],
  ],
  ['a quote that is never closed goes to the end', 'A="x\nB=1', { A: 'x\nB=1' }],
]

for (const [name, text, variables, ignored = []] of CASES) {
  t.test(name, async (t) => {
    const read = parseEnvironmentFile(text)
    t.strictSame(Object.fromEntries(read.variables), variables)
    t.strictSame(read.ignored, ignored)
  })
}
