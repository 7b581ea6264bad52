/** Where events go: what a producer knows of the behaviours, and no more. A registry's routes are such, and a region card's. */
export interface Route {
  /** Type of the actor that receives the event. */
  readonly actorType: string;
  /** Field of the event that holds the actor's key. */
  readonly keyField: string;
}

/** Routes by type of event. */
export type Routes = ReadonlyMap<string, Route>;
