/** People, companies and what they say: Brazil for the most part, the world for the rest, so that accents, scripts and emoji are on the way. */
import type { Random } from './random.ts'

const brazil = {
  first: [
    'Ana',
    'João',
    'Maria Aparecida',
    'José',
    'Antônia',
    'Luís',
    'Fernanda',
    'Conceição',
    'Raimundo',
    'Letícia',
    'Thiago',
    'Inês',
    'Caíque',
    'Yasmin',
    'Sebastião',
    'Graça',
  ],
  last: [
    'Silva',
    'Souza',
    'Conceição',
    'de Araújo',
    'Gonçalves',
    'dos Santos',
    'Magalhães',
    'Nóbrega',
    'Falcão',
    'Brandão',
    'Itapuã',
    'Sant’Anna',
    "d'Ávila",
    'Ximenes',
  ],
  companies: [
    'Padaria Pão Quente Ltda',
    'Açaí do Zé',
    'Construtora Horizonte S/A',
    'Clínica São Lucas',
    'Mercearia & Cia',
    'Auto Peças Irmãos Brandão',
    'Fazenda Boa Esperança',
    'Estúdio Ipê',
  ],
  jobs: ['Gerente de Vendas', 'Sócia-fundadora', 'Coordenação de TI', 'Recepção', 'Diretor financeiro', 'Compras'],
}
const world = {
  first: ['Zoë', 'Łukasz', 'Søren', 'Thuý', '李', 'Ольга', 'محمد', 'Siobhán', 'Jürgen', 'Aoife', 'さくら', 'Nuñez'],
  last: ["O'Brien", 'Müller-Lüdenscheidt', 'Nguyễn', '小林', 'Иванова', 'Øst', 'García Márquez', 'van den Berg', 'Kovács', 'الحسن'],
  companies: ['Smith "&" Sons', 'Blåbær AS', 'Müller\\Partner GmbH', '株式会社さくら', 'Café 100% ☕', 'Tab\tand line\nLtd'],
  jobs: ['CTO', 'Head of “Growth”', 'Office manager', '部長', 'Buyer (EMEA)'],
}
const cities = ['sp', 'rj', 'recife', 'poa', 'belém', 'lisboa', 'london', '東京']
const interests = ['retail', 'saas', 'food', 'health', 'farm', 'education']

export interface Person {
  readonly name: string
  readonly email: string | null
  readonly phone: string | null
  readonly company: string | null
  readonly jobTitle: string | null
  readonly tags: readonly string[] | null
}

export function personOf(random: Random): Person {
  const from = random.chance(0.8) ? brazil : world
  const [first, last] = [random.pick(from.first), random.pick(from.last)]
  return {
    name: `${first} ${last}${random.chance(0.02) ? ' 🚀' : ''}`,
    email: random.chance(0.9)
      ? `${ascii(`${first}.${last}`)}.${random.whole(1, 99_999)}@${random.pick(['example.com', 'example.org', 'mail.example.net'])}`
      : null,
    phone: random.chance(0.8) ? phoneOf(random) : null,
    company: random.chance(0.7) ? random.pick(from.companies) : null,
    jobTitle: random.chance(0.5) ? random.pick(from.jobs) : null,
    tags: random.chance(0.75) ? [random.pick(cities), ...(random.chance(0.5) ? [random.pick(interests)] : [])] : random.chance(0.5) ? [] : null,
  }
}

/** What the seller notes at the end of a chat. */
export function summaryOf(random: Random): string {
  const opening = random.pick([
    'Cliente pediu orçamento',
    'Dúvida sobre o preço',
    'Quer falar com um humano',
    'Asked for a demo',
    'Reclamação: entrega atrasada',
    'Só agradeceu 🙏',
  ])
  const ending = random.pick(['retornar amanhã.', 'enviado por e-mail.', 'aguardando resposta…', 'fechado!', 'sem interesse agora.', 'escalated to “level 2”.'])
  return `${opening}; ${ending}`
}

/** Brazilian mobile numbers, and the American ones that are set aside for fiction. */
function phoneOf(random: Random): string {
  const digits = (count: number) => String(random.whole(0, 10 ** count - 1)).padStart(count, '0')
  if (random.chance(0.2)) return `+1 ${random.pick(['212', '415', '305'])}-555-01${digits(2)}`
  return `+55 ${random.pick(['11', '21', '31', '51', '71', '81', '91'])} 9${digits(4)}-${digits(4)}`
}

function ascii(text: string): string {
  const plain = text
    .normalize('NFD')
    .replaceAll(/[^\w.]+/g, '')
    .toLowerCase()
    .replaceAll(/^\.+|\.+$/g, '')
  return plain === '' ? 'contato' : plain
}
