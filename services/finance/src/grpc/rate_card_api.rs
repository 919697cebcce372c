//! `RateCardService`.

use reeve_contracts::finance::v1::rate_card_service_server::RateCardService;
use reeve_contracts::finance::v1::{
    CreateRateCardRequest, CreateRateCardResponse, GetRateCardRequest, GetRateCardResponse,
    ListRateCardsRequest, ListRateCardsResponse,
};
use reeve_ids::Uuid;
use reeve_postgres::page;
use reeve_runtime::answer;
use reeve_status::{Fault, Violations};
use tonic::{Request, Response};

use super::{Answer, Shared, asked, call, open, parse, parse_usage, render_usage};
use crate::storage::rate_cards::CardFilter;

/// The RPCs.
pub struct RateCardApi(pub Shared);

impl RateCardApi {
    /// Full name of the service.
    pub const NAME: &'static str = "reeve.finance.v1.RateCardService";
}

#[tonic::async_trait]
impl RateCardService for RateCardApi {
    async fn create_rate_card(
        &self,
        request: Request<CreateRateCardRequest>,
    ) -> Answer<CreateRateCardResponse> {
        let (caller, message) = open(request)?;
        let new = parse_usage::rate_card(&message, self.0.now())?;
        let call = call(&caller, "CreateRateCard", &message.request_id, &message);
        let card = self
            .0
            .create_rate_card(call, new)
            .await
            .map_err(Fault::from)?;
        let rate_card = Some(render_usage::rate_card(&card));
        Ok(Response::new(CreateRateCardResponse { rate_card }))
    }

    async fn get_rate_card(
        &self,
        request: Request<GetRateCardRequest>,
    ) -> Answer<GetRateCardResponse> {
        let (tenant, id) = asked(request, "rate_card_id", |message| &message.rate_card_id)?;
        let card = self
            .0
            .get_rate_card(tenant, id)
            .await
            .map_err(Fault::from)?;
        let rate_card = Some(render_usage::rate_card(&card));
        Ok(Response::new(GetRateCardResponse { rate_card }))
    }

    async fn list_rate_cards(
        &self,
        request: Request<ListRateCardsRequest>,
    ) -> Answer<ListRateCardsResponse> {
        let (caller, message) = open(request)?;
        let mut v = Violations::new();
        let valid_time = parse::time(&mut v, "valid_time", message.valid_time.as_ref());
        let name = parse::text(&mut v, "name", &message.name, (0, 100));
        v.finish()?;
        let bound = (&name, valid_time.map(|time| time.to_rfc3339()));
        let (page, size) = parse::page::<Uuid>(message.page_size, &message.page_token, &bound)?;
        let filter = CardFilter {
            name: name.clone(),
            valid_time,
        };
        let cards = self.0.list_rate_cards(caller.tenant(), &filter, page).await;
        let cards = cards.map_err(Fault::from)?;
        let (rate_cards, next) =
            answer::page(cards, size, render_usage::rate_card, |card| card.id.uuid());
        Ok(Response::new(ListRateCardsResponse {
            rate_cards,
            next_page_token: next
                .map(|key| page::encode(&key, &bound))
                .unwrap_or_default(),
        }))
    }
}
